"""A gateway between clusters: mutual TLS goes through to the service that the client's SNI names."""

from __future__ import annotations

import asyncio
import http.client
import socket
import ssl
from pathlib import Path

import pytest
from support.identity import certified
from support.mesh import Mesh, eventually, in_force

from mizzen.identity.inmemory import load_pair, load_roots
from mizzen.identity.keeping.own import Proof

pytestmark = pytest.mark.runtime("local", reason="tokens of workloads are at hand there")
PORT = 15443
EASTWEST = """
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: eastwest, namespace: istio-system}
spec:
  selector: {istio: ingressgateway}
  servers:
  - port: {number: 15443, name: tls, protocol: TLS}
    hosts: ["default/*.local"]
    tls: {mode: AUTO_PASSTHROUGH}
"""
STRICT = """
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: default, namespace: istio-system}
spec: {mtls: {mode: STRICT}}
"""
DETAILS = "outbound_.9080_._.details.default.svc.cluster.local"
OF_V2 = "outbound_.9080_.v2_.reviews.default.svc.cluster.local"


class Cluster:
    """A workload in another cluster, with the identity of one in this."""

    def __init__(self, proof: Proof) -> None:
        self._proof = proof

    def ask(self, server_name: str, path: str, protocol: str = "istio-http/1.1") -> tuple[int, str, str]:
        """Status, body, and who answered by his certificate; 0 where there was no answer."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        load_pair(context, self._proof.credentials.chain_pem, self._proof.credentials.key_pem)
        load_roots(context, self._proof.roots)
        context.set_alpn_protocols([protocol])
        connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=10)
        try:
            raw = socket.create_connection(("127.0.0.1", PORT), 10)
            connection.sock = context.wrap_socket(raw, server_hostname=server_name)
            names = connection.sock.getpeercert()["subjectAltName"]
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read().decode(), names[0][1]
        except (OSError, http.client.HTTPException):
            return 0, "", ""
        finally:
            connection.close()


def test_mutual_tls_goes_through_to_the_service_that_is_named(mesh: Mesh, tmp_path: Path) -> None:
    there = Cluster(asyncio.run(certified(mesh.home, "productpage-v1-1")))
    with in_force(mesh, f"{STRICT}---{EASTWEST}"):
        eventually(lambda: there.ask(DETAILS, "/details/0")[0] == 200, "details through the gateway")
        status, body, who = there.ask(DETAILS, "/details/0")
        assert (status, "author" in body) == (200, True)
        assert who == "spiffe://cluster.local/ns/default/sa/bookinfo-details"
        for _ in range(5):
            assert "black" in there.ask(OF_V2, "/reviews/0")[1]
        assert there.ask(DETAILS, "/details/0", protocol="http/1.1") == (0, "", "")
        assert there.ask("outbound_.15014_._.istio-policy.istio-system.svc.cluster.local", "/")[0] == 0
    eventually(lambda: there.ask(DETAILS, "/details/0")[0] == 0, "the port closed again")
