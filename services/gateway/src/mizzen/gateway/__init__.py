"""Ingress and egress gateways: `mizzen.proxy` in the router role, with settings of its own."""
