"""Identities for all, mutual TLS between them, and who may call whom."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from support.load import under_load
from support.local import LocalMesh
from support.mesh import Mesh, eventually, get
from support.visitor import PROXY, REGISTERED, called, visiting

pytestmark = pytest.mark.runtime("local", "kube", reason="containers are not given identities yet")

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
metadata: {{name: {app}, namespace: default}}
spec:
  selector: {{matchLabels: {{app: {app}}}}}
  rules: [{{from: [{{source: {{principals: [cluster.local/ns/default/sa/{account}]}}}}]}}]
"""


@pytest.fixture(scope="module")
def secure(mesh: Mesh, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mesh]:
    """On Kubernetes all stories are told with mutual TLS; else a new mesh that asks for it, in the other's place."""
    if mesh.runtime == "kube":
        yield mesh
        return
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


def plain(mesh: Mesh) -> int:
    """The status of a plaintext request past all sidecars but the server's; 0 where nobody answers."""
    return mesh.ask("details-v1", 9080, "/health")[0]


def metrics(mesh: Mesh) -> str:
    return mesh.ask("details-v1", 15090, "/stats/prometheus")[1]


def test_calls_are_mutual_tls_without_any_policy(secure: Mesh) -> None:
    eventually(lambda: get("/productpage").status == 200, "the page")
    eventually(lambda: proved(secure.engine, metrics(secure)), "calls of productpage that prove who it is")


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


def test_strict_refuses_plain_text_and_costs_no_request(secure: Mesh) -> None:
    assert plain(secure) == 200
    with under_load("/productpage") as load:
        with in_force(secure, STRICT):
            eventually(lambda: plain(secure) == 0, "plain text refused")
            before = load.answered
            eventually(lambda: load.answered > before + 20, "requests under STRICT")
        eventually(lambda: plain(secure) == 200, "plain text taken again")
    assert load.failed == []


def test_only_who_is_allowed_gets_an_answer(secure: Mesh) -> None:
    with in_force(secure, ONLY.format(app="reviews", account="nobody")):
        eventually(lambda: get(REVIEWS).status == 403, "reviews refused to productpage")
        assert get("/productpage").status == 200
    with in_force(secure, ONLY.format(app="reviews", account="bookinfo-productpage")):
        eventually(lambda: get(REVIEWS).status == 200, "reviews for productpage")


@pytest.mark.runtime("local", reason="elsewhere all proxies of a mesh are of one kind")
def test_both_data_planes_speak_to_each_other(secure: Mesh) -> None:
    ratings, details = map(secure.address, ("ratings-v1", "details-v1"))
    policies = [ONLY.format(app="visitor", account="bookinfo-ratings"), ONLY.format(app="details", account="visitor")]
    with in_force(secure, "---".join((STRICT, REGISTERED, *policies))), visiting(secure):
        eventually(lambda: called(ratings, "visitor")[0] == 200, "the visitor's answer to ratings")
        assert "URI=spiffe://cluster.local/ns/default/sa/bookinfo-ratings" in called(ratings, "visitor")[1]
        eventually(lambda: called(PROXY, "details")[0] == 200, "details for the visitor")
        eventually(lambda: called(ratings, "details")[0] == 403, "details for nobody else")
        assert called(details, "visitor")[0] == 403


@pytest.mark.runtime("local", reason="elsewhere it is in no folder of the user")
def test_the_root_is_only_for_its_owner(secure: Mesh) -> None:
    assert (secure.home / "ca" / "ca-key.pem").stat().st_mode & 0o077 == 0
