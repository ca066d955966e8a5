"""Mixer on the wire: Istio's protocol, and Envoy's authorization and access log services, over one policy."""
