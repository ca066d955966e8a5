"""The same policy for a stock Envoy: its authorization service, and its access log service.

What Istio's proxy has as static configuration (who reports, for which service) a stock Envoy states in the context
extensions of its ext_authz filter and in the custom tags of its access log: entries whose keys are names of attributes.
"""
