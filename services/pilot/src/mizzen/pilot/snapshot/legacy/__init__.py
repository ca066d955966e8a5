"""What `authentication.istio.io` and `rbac.istio.io` (Istio 1.0 to 1.5) mean, as the kinds of security.istio.io."""
