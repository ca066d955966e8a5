"""A service of one port, 10.0.0.9:80, whose mutual TLS is switched."""

from __future__ import annotations

from mizzen.api.security import MutualTLSMode

SERVICE = """
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: db}
spec:
  hosts: [db.shop]
  location: MESH_INTERNAL
  ports: [{number: 80, name: http, protocol: HTTP}]
  resolution: STATIC
  endpoints: [{address: 10.0.0.9, labels: {security.istio.io/tlsMode: istio}}]
"""


def policy(mode: MutualTLSMode) -> str:
    """What asks for that mode."""
    return (
        "apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {name: default}\n"
        f"spec: {{mtls: {{mode: {mode}}}}}\n"
    )
