"""Sidecar injection: `injection` decides and makes the Pod, `proxyinit` is the program of its init container."""
