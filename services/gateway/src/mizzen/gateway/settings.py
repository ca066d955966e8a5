"""What makes a proxy a gateway: it stands at the edge, and Gateway resources select it by its labels."""

from __future__ import annotations

from mizzen.proxy.app.settings import Defaults

INGRESS = Defaults(
    program="mizzen-gateway",
    role="router",
    name="istio-ingressgateway-1",
    namespace="istio-system",
    bind_address="127.0.0.1",
    admin_address="127.0.1.10:15000",
    labels={"istio": "ingressgateway", "app": "istio-ingressgateway"},
)
"""The ingress gateway of the local runtime; flags and variables change every part."""
