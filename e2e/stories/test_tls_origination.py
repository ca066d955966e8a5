"""A partner outside speaks HTTPS alone: the gateway, asked in plain text, begins TLS as a DestinationRule says."""

from __future__ import annotations

import http.server
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from support.certificates import Authority, tls_secret
from support.mesh import Mesh, eventually, get, in_force

pytestmark = pytest.mark.runtime("local", reason="the partner is a server of the test, on this machine's loopback")

HOST = "api.partner.example"
CLIENT = "gateway.shop.example"
ROUTES = """
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: partner, namespace: default}}
spec:
  hosts: [{host}]
  location: MESH_EXTERNAL
  resolution: STATIC
  ports: [{{number: 443, name: https, protocol: HTTPS}}]
  endpoints: [{{address: 127.0.0.1, ports: {{https: {port}}}}}]
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {{name: partner, namespace: default}}
spec:
  selector: {{istio: ingressgateway}}
  servers: [{{port: {{number: 8080, name: http, protocol: HTTP}}, hosts: [{host}]}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: partner, namespace: default}}
spec:
  hosts: [{host}]
  gateways: [partner]
  http: [{{route: [{{destination: {{host: {host}, port: {{number: 443}}}}}}]}}]
"""
RULE = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: partner, namespace: default}}
spec:
  host: {host}
  trafficPolicy: {{portLevelSettings: [{{port: {{number: 443}}, tls: {tls}}}]}}
"""


@dataclass
class Partner:
    """An HTTPS server that would like to see certificates."""

    port: int = 0
    names: set[str] = field(default_factory=set)
    """What clients asked for by SNI."""
    clients: list[str] = field(default_factory=list)
    """Whose certificate came with each request; empty for none."""


@contextmanager
def serving(authority: Authority) -> Iterator[Partner]:
    seen = Partner()

    class Handler(http.server.BaseHTTPRequestHandler):
        """Answers everything, once a connection: connections keep the certificate that they began with."""

        def do_GET(self) -> None:
            shown: Any = self.connection.getpeercert() or {}  # type: ignore[attr-defined]
            seen.clients.append(next((name for _, name in shown.get("subjectAltName", ())), ""))
            self.send_response(200)
            self.send_header("Content-Length", "7")
            self.end_headers()
            self.wfile.write(b"partner")

        def log_message(self, *_: Any) -> None:
            """Not here."""

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cadata=authority.pem)
    context.load_cert_chain(*authority.issue(HOST))
    context.verify_mode = ssl.CERT_OPTIONAL
    context.sni_callback = lambda _, name, __: seen.names.add(name or "")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    seen.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield seen
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


def rule(**tls: Any) -> str:
    stated = ", ".join(f"{name}: {value}" for name, value in tls.items())
    return RULE.format(host=HOST, tls=f"{{{stated}}}")


def asked() -> tuple[int, bytes]:
    answer = get("/", {"Host": HOST})
    return answer.status, answer.body


def test_the_gateway_begins_tls_and_knows_whom_to_believe(mesh: Mesh, tmp_path: Path) -> None:
    authority, stranger = Authority(tmp_path, "partner-root"), Authority(tmp_path, "stranger-root")
    good = (200, b"partner")
    with serving(authority) as partner, in_force(mesh, ROUTES.format(host=HOST, port=partner.port)):
        eventually(lambda: asked()[0] in (400, 502, 503), "a partner that answers no plain text")
        with in_force(mesh, rule(mode="SIMPLE", caCertificates=authority.roots)):
            eventually(lambda: asked() == good, "TLS to the partner")
            assert HOST in partner.names
            assert partner.clients[-1] == ""
            mesh.ok("apply", "-f", "-", stdin=rule(mode="SIMPLE", caCertificates=stranger.roots))
            eventually(lambda: asked()[0] == 503, "a partner whom nobody vouches for is not believed")
            stranger.roots.write_text(stranger.pem + authority.pem)
            eventually(lambda: asked() == good, "a new file of roots taken")


def test_the_gateway_shows_its_certificate_and_the_next_one(mesh: Mesh, tmp_path: Path) -> None:
    authority = Authority(tmp_path, "partner-root")
    certificate, key = authority.issue(CLIENT, into="client")
    files = {"clientCertificate": certificate, "privateKey": key, "caCertificates": authority.roots}
    with (
        serving(authority) as partner,
        in_force(mesh, ROUTES.format(host=HOST, port=partner.port)),
        in_force(mesh, rule(mode="MUTUAL", **files)),
    ):
        eventually(lambda: asked()[0] == 200 and partner.clients[-1] == CLIENT, "a certificate shown")
        authority.issue("next.shop.example", into="client")
        eventually(lambda: asked()[0] == 200 and partner.clients[-1] == "next.shop.example", "the next one shown")


def test_the_gateway_shows_a_certificate_from_a_secret(mesh: Mesh, tmp_path: Path) -> None:
    authority = Authority(tmp_path, "partner-root")

    def secret(name: str) -> str:
        certificate, key = authority.issue(name, into="client")
        return tls_secret("partner", tls_crt=certificate, tls_key=key, ca_crt=authority.roots)

    with (
        serving(authority) as partner,
        in_force(mesh, ROUTES.format(host=HOST, port=partner.port)),
        in_force(mesh, rule(mode="MUTUAL", credentialName="partner")),
        in_force(mesh, secret(CLIENT)),
    ):
        eventually(lambda: asked()[0] == 200 and partner.clients[-1] == CLIENT, "the Secret's certificate shown")
        mesh.ok("apply", "-f", "-", stdin=secret("next.shop.example"))
        eventually(lambda: asked()[0] == 200 and partner.clients[-1] == "next.shop.example", "the next one shown")
