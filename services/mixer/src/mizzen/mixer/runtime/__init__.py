"""The rule engine: policy compiled to plans, handlers and their lives, and what happens to one request.

A request runs over one immutable plan; a new configuration is a new plan. Where Istio's result depends on which
handler answers first, this one goes by the order of rules: those of the default namespace, then the request's own,
each by name, and within a rule from top to bottom.
"""
