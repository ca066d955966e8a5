"""Identities for all, mutual TLS between them, and who may call whom. A mesh of its own, in the other's place."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from support.load import under_load
from support.local import LocalMesh
from support.mesh import Mesh, eventually, get

pytestmark = pytest.mark.runtime("local", reason="containers are not given identities yet")

MESH_CONFIG = "accessLogFile: /dev/stdout\nprotocolDetectionTimeout: 300ms\nenableAutoMtls: true\n"
REVIEWS = "/api/v1/products/0/reviews"
HANDSHAKES = "envoy_listener_ssl_handshake{"
STRICT = """
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: default, namespace: istio-system}
spec: {mtls: {mode: STRICT}}
"""
ONLY = """
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {{name: reviews, namespace: default}}
spec:
  selector: {{matchLabels: {{app: reviews}}}}
  rules: [{{from: [{{source: {{principals: [cluster.local/ns/default/sa/{account}]}}}}]}}]
"""


@pytest.fixture(scope="module")
def secure(mesh: Mesh, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalMesh]:
    """A new mesh that asks for mutual TLS; the addresses are the same, so the other one is down meanwhile."""
    own = LocalMesh(tmp_path_factory.mktemp("secure"), mesh.engine)
    (own.home / "mesh.yaml").write_text(MESH_CONFIG)
    mesh.ok("down")
    try:
        own.ok("up", "--engine", own.engine, "--no-mixer")
        yield own
    finally:
        own.ok("down")
        mesh.up()


@contextmanager
def in_force(mesh: Mesh, text: str) -> Iterator[None]:
    mesh.ok("apply", "-f", "-", stdin=text)
    try:
        yield
    finally:
        mesh.ok("delete", "--ignore-not-found", "-f", "-", stdin=text)


def address_of(mesh: Mesh, workload: str) -> str:
    (found,) = (row["address"] for row in mesh.table("status")["processes"] if row["name"] == mesh.sidecar(workload))
    return str(found).partition(":")[0]


def plain(host: str) -> int:
    """The status of a plaintext request past all sidecars but the server's; 0 where nobody answers."""
    connection = http.client.HTTPConnection(host, 9080, timeout=10)
    try:
        connection.request("GET", "/health", headers={"Host": "details:9080"})
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        connection.close()


def metrics(host: str) -> str:
    connection = http.client.HTTPConnection(host, 15090, timeout=10)
    try:
        connection.request("GET", "/stats/prometheus")
        return connection.getresponse().read().decode()
    finally:
        connection.close()


def test_calls_are_mutual_tls_without_any_policy(secure: LocalMesh) -> None:
    eventually(lambda: get("/productpage").status == 200, "the page")
    host = address_of(secure, "details-v1")

    eventually(lambda: proved(secure.engine, metrics(host)), "calls of productpage that prove who it is")


def proved(engine: str, text: str) -> bool:
    """Whether a server's metrics tell of mutual TLS; a stock Envoy has no Istio metrics, and counts handshakes."""
    if engine == "envoy":
        return any(float(line.split()[-1]) > 0 for line in text.splitlines() if line.startswith(HANDSHAKES))
    lines = [line for line in text.splitlines() if line.startswith("istio_requests_total{")]
    return any(
        'connection_security_policy="mutual_tls"' in line
        and 'source_principal="spiffe://cluster.local/ns/default/sa/bookinfo-productpage"' in line
        for line in lines
    )


def test_strict_refuses_plain_text_and_costs_no_request(secure: LocalMesh) -> None:
    host = address_of(secure, "details-v1")
    assert plain(host) == 200
    with under_load("/productpage") as load:
        with in_force(secure, STRICT):
            eventually(lambda: plain(host) == 0, "plain text refused")
            before = load.answered
            eventually(lambda: load.answered > before + 20, "requests under STRICT")
        eventually(lambda: plain(host) == 200, "plain text taken again")
    assert load.failed == []


def test_only_who_is_allowed_gets_an_answer(secure: LocalMesh) -> None:
    with in_force(secure, ONLY.format(account="nobody")):
        eventually(lambda: get(REVIEWS).status == 403, "reviews refused to productpage")
        assert get("/productpage").status == 200
    with in_force(secure, ONLY.format(account="bookinfo-productpage")):
        eventually(lambda: get(REVIEWS).status == 200, "reviews for productpage")


def test_the_root_is_only_for_its_owner(secure: LocalMesh) -> None:
    assert (secure.home / "ca" / "ca-key.pem").stat().st_mode & 0o077 == 0
