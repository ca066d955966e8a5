"""opa: authorization by Rego policies, judged by an Open Policy Agent server."""

from mizzen.mixer.adapters.opa.adapter import ADAPTER

__all__ = ["ADAPTER"]
