"""The kinds of the Gateway API (gateway.networking.k8s.io, standard channel), one module for each part."""

GROUP = "gateway.networking.k8s.io"
