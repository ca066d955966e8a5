"""AuthorizationPolicy as Envoy's RBAC filters. Source: Istio's security reference and Envoy's envoy.config.rbac.v3."""
