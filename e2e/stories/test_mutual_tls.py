"""Identities for all, mutual TLS between them without anybody's asking, and who may call whom."""

from __future__ import annotations

import os

import pytest
from support.capture import any_plain_http, capturing, is_tls
from support.load import under_load
from support.mesh import REVIEWS, Mesh, eventually, get, in_force
from support.visitor import PROXY, REGISTERED, called, visiting

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

NOBODY = """
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: nobody, namespace: istio-system}
spec:
  selector: {matchLabels: {istio: ingressgateway}}
  action: DENY
  rules: [{to: [{operation: {paths: [/nobody], ports: ["8080"]}}]}]
"""
DENIED = "policy[nobody]-rule[0]"

ROLES = """
apiVersion: rbac.istio.io/v1alpha1
kind: ClusterRbacConfig
metadata: {name: default}
spec: {mode: ON_WITH_INCLUSION, inclusion: {services: [details.default.svc.cluster.local]}}
---
apiVersion: rbac.istio.io/v1alpha1
kind: ServiceRole
metadata: {name: details, namespace: default}
spec: {rules: [{services: [details.default.svc.cluster.local], methods: [GET]}]}
---
apiVersion: rbac.istio.io/v1alpha1
kind: ServiceRoleBinding
metadata: {name: details, namespace: default}
spec:
  subjects: [{user: cluster.local/ns/default/sa/bookinfo-ratings}]
  roleRef: {kind: ServiceRole, name: details}
"""


def plain(mesh: Mesh) -> int:
    """The status of a plaintext request past all sidecars but the server's; 0 where nobody answers."""
    return mesh.ask("details-v1", 9080, "/health")[0]


def metrics(mesh: Mesh) -> str:
    return mesh.ask("details-v1", 15090, "/stats/prometheus")[1]


def test_calls_are_mutual_tls_without_any_policy(mesh: Mesh) -> None:
    eventually(lambda: get("/productpage").status == 200, "the page")
    eventually(lambda: proved(mesh.engine, metrics(mesh)), "calls of productpage that prove who it is")


@pytest.mark.runtime("local", reason="it captures what goes over loopback")
@pytest.mark.skipif(os.geteuid() != 0, reason="only root may see the packets of a machine")
def test_a_packet_capture_sees_tls_alone_between_sidecars(mesh: Mesh) -> None:
    with capturing() as capture, under_load("/productpage") as load:
        eventually(lambda: load.answered > 30, "requests while packets are captured")
    assert load.failed == []
    flows = capture.flows("127.1.0.0/16", 9080)
    services = {host for pair in flows for host, port in pair if port == 9080}
    assert len(services) >= 4  # productpage, details, reviews, ratings
    assert [pair for pair, data in flows.items() if not is_tls(data)] == []
    assert not any_plain_http(flows.values())
    applications = capture.flows("127.2.0.0/16", 9080)
    assert any_plain_http(applications.values())  # behind their sidecars, so that the capture is known to see it


@pytest.mark.runtime("local", reason="one look is enough: the proxies are the same")
def test_a_proxy_shows_what_it_has_been_given(mesh: Mesh) -> None:
    rows = {row["name"]: row for row in mesh.table("proxy-config", "secrets", "details-v1")}
    assert {name: (rows[name]["type"], rows[name]["state"]) for name in ("default", "ROOTCA")} == {
        "default": ("certificate", "ACTIVE"),
        "ROOTCA": ("roots", "ACTIVE"),
    }


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


def test_strict_refuses_plain_text_and_costs_no_request(mesh: Mesh) -> None:
    assert plain(mesh) == 200
    with under_load("/productpage") as load:
        with in_force(mesh, STRICT):
            eventually(lambda: plain(mesh) == 0, "plain text refused")
            before = load.answered
            eventually(lambda: load.answered > before + 20, "requests under STRICT")
        eventually(lambda: plain(mesh) == 200, "plain text taken again")
    assert load.failed == []


@pytest.mark.runtime("local", reason="the command line knows nothing of clusters")
@pytest.mark.engine("python", reason="a stock Envoy does not tell who calls it in plain text")
def test_mtls_status_tells_who_is_in_the_way_of_strict(mesh: Mesh) -> None:
    (quiet,) = mesh.table("mtls-status", "details", "--during", "0.1")
    assert (quiet["mode"], quiet["decided_by"], quiet["strict"]) == ("PERMISSIVE", "the default", "safe")
    assert plain(mesh) == 200

    def told() -> bool:
        (row,) = mesh.table("mtls-status", "details.default")
        return row["plaintext_sources"].keys() == {"a client without a sidecar"} and not row["strict_is_safe"]

    eventually(told, "the plaintext client in mtls-status")
    with in_force(mesh, STRICT):
        eventually(lambda: plain(mesh) == 0, "plain text refused")
        (row,) = mesh.table("mtls-status", "details")
        assert (row["mode"], row["decided_by"]) == ("STRICT", "PeerAuthentication istio-system/default")


def test_only_who_is_allowed_gets_an_answer(mesh: Mesh) -> None:
    with in_force(mesh, ONLY.format(app="reviews", account="nobody")):
        eventually(lambda: get(REVIEWS).status == 403, "reviews refused to productpage")
        assert get("/productpage").status == 200
    with in_force(mesh, ONLY.format(app="reviews", account="bookinfo-productpage")):
        eventually(lambda: get(REVIEWS).status == 200, "reviews for productpage")


@pytest.mark.runtime("local", reason="it calls through sidecars of its choice; roles become policies in Pilot")
def test_roles_of_istio_1_0_decide_who_gets_an_answer(mesh: Mesh) -> None:
    ratings, reviews = map(mesh.address, ("ratings-v1", "reviews-v1"))
    with in_force(mesh, ROLES):
        eventually(lambda: called(reviews, "details")[0] == 403, "details for no reviews")
        eventually(lambda: called(ratings, "details")[0] == 200, "details for ratings")
    eventually(lambda: called(reviews, "details")[0] == 200, "details for everybody")


@pytest.mark.runtime(
    "local", "compose", reason="a mesh on Kubernetes is not for development unless its chart is told so"
)
def test_a_mesh_for_development_says_who_refused(mesh: Mesh) -> None:
    with in_force(mesh, NOBODY):
        eventually(lambda: get("/nobody").status == 403, "a path for nobody")
        assert DENIED in get("/nobody").headers["x-mesh-reason"]


@pytest.mark.runtime("local", reason="elsewhere all proxies of a mesh are of one kind")
def test_both_data_planes_speak_to_each_other(mesh: Mesh) -> None:
    ratings, details = map(mesh.address, ("ratings-v1", "details-v1"))
    policies = [ONLY.format(app="visitor", account="bookinfo-ratings"), ONLY.format(app="details", account="visitor")]
    with in_force(mesh, "---".join((STRICT, REGISTERED, *policies))), visiting(mesh):
        eventually(lambda: called(ratings, "visitor")[0] == 200, "the visitor's answer to ratings")
        assert "URI=spiffe://cluster.local/ns/default/sa/bookinfo-ratings" in called(ratings, "visitor")[1]
        eventually(lambda: called(PROXY, "details")[0] == 200, "details for the visitor")
        eventually(lambda: called(ratings, "details")[0] == 403, "details for nobody else")
        eventually(lambda: called(details, "visitor")[0] == 403, "the visitor for nobody else")


@pytest.mark.runtime("local", "compose", reason="elsewhere it is in no folder of the user")
def test_the_root_is_only_for_its_owner(mesh: Mesh) -> None:
    assert (mesh.home / "ca" / "ca-key.pem").stat().st_mode & 0o077 == 0
