"""Resources to policy: everything compiled and resolved, and a reason for whatever is left out.

A bad resource is quarantined alone: a rule without its match, an instance with a wrong expression, a handler of an
adapter that does not exist. What refers to it loses that part; the rest works.
"""
