"""Mutual TLS as Pilot asks for it: chains by what a workload accepts, sockets by what endpoints can."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from envoy.config.bootstrap.v3 import bootstrap_pb2
from envoy.extensions.transport_sockets.tls.v3 import tls_pb2
from google.protobuf import json_format

from mizzen.api.security import MutualTLSMode
from mizzen.pilot.base.meshconfig import MeshConfig
from mizzen.pilot.base.protocol import Protocol
from mizzen.pilot.generate.affects import affected_types
from mizzen.pilot.generate.endpoints import assignment
from mizzen.pilot.generate.listener import INBOUND
from mizzen.pilot.generate.mutualtls import capable, ways
from mizzen.pilot.generate.node import Node
from mizzen.pilot.generate.typeurls import CLUSTER, ENDPOINT, LISTENER
from mizzen.pilot.snapshot.diff import difference

ENVOY = Path(sys.executable).with_name("envoy")
ON = MeshConfig(enable_auto_mtls=True)
ABLE = {"app": "reviews", "security.istio.io/tlsMode": "istio"}
PLAIN = ("http/1.1", "h2c")
HTTP_ALPN = "istio-http/1.0,istio-http/1.1,istio-h2"
ISTIO_ALPN = f"{HTTP_ALPN},istio-peer-exchange,istio"

REVIEWS = """
apiVersion: v1
kind: Service
metadata: {name: reviews, namespace: default}
spec:
  selector: {app: reviews}
  clusterIP: 10.1.0.1
  ports: [{name: http, port: 9080}, {name: tcp-raw, port: 9090}, {name: any, port: 9091}]
---
apiVersion: v1
kind: Pod
metadata:
  name: reviews-1
  namespace: default
  labels: {app: reviews, security.istio.io/tlsMode: istio}
spec: {serviceAccountName: bookinfo-reviews}
status: {podIP: 10.0.0.9}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: reviews-1, namespace: default, labels: {kubernetes.io/service-name: reviews}}
addressType: IPv4
ports: [{name: http, port: 9080}, {name: tcp-raw, port: 9090}, {name: any, port: 9091}]
endpoints: [{addresses: [10.0.0.9], targetRef: {kind: Pod, name: reviews-1, namespace: default}}]
"""
CLUSTER_NAME = "outbound|9080||reviews.default.svc.cluster.local"


def policy(mode: str, namespace: str = "default", more: str = "") -> str:
    return f"""
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {{name: p, namespace: {namespace}}}
spec: {{mtls: {{mode: {mode}}}{more}}}
"""


@pytest.mark.parametrize(
    ("mode", "protocol", "expected"),
    [
        ("DISABLE", Protocol.HTTP, ["raw_buffer  http"]),
        ("DISABLE", Protocol.TCP, ["raw_buffer  bytes"]),
        ("DISABLE", Protocol.UNSUPPORTED, ["raw_buffer http/1.1,h2c http", "raw_buffer  bytes"]),
        ("PERMISSIVE", Protocol.HTTP, [f"tls {ISTIO_ALPN} http mtls", "raw_buffer  http"]),
        ("PERMISSIVE", Protocol.TCP, [f"tls {ISTIO_ALPN} bytes mtls", "tls  bytes", "raw_buffer  bytes"]),
        (
            "PERMISSIVE",
            Protocol.UNSUPPORTED,
            [
                f"tls {HTTP_ALPN} http mtls",
                "raw_buffer http/1.1,h2c http",
                "tls istio-peer-exchange,istio bytes mtls",
                "tls  bytes",
                "raw_buffer  bytes",
            ],
        ),
        ("STRICT", Protocol.HTTP, ["tls  http mtls"]),
        ("STRICT", Protocol.TCP, ["tls  bytes mtls"]),
        ("STRICT", Protocol.UNSUPPORTED, [f"tls {HTTP_ALPN} http mtls", "tls  bytes mtls"]),
    ],
)
def test_the_chains_of_a_port(mode: str, protocol: Protocol, expected: list[str]) -> None:
    found = [
        f"{way.match.transport} {','.join(way.match.protocols)} {'http' if way.http else 'bytes'}"
        + (" mtls" if way.ends_tls else "")
        for way in ways(MutualTLSMode(mode), protocol, 80, PLAIN)
    ]
    assert found == expected


def inbound(world: Any, proxy: Any) -> dict[int, set[tuple[str, bool]]]:
    """Of each port the transports of its chains, and whether TLS ends there."""
    found: dict[int, set[tuple[str, bool]]] = {}
    for chain in world.listeners(proxy)["virtualInbound"].filter_chains:
        match = chain.filter_chain_match
        entry = (match.transport_protocol, chain.HasField("transport_socket"))
        found.setdefault(match.destination_port.value, set()).add(entry)
    return found


BOTH = {("tls", True), ("raw_buffer", False)}


def test_nothing_changes_where_nobody_asked_for_it(world: Any, sidecar: Any) -> None:
    """Neither the setting alone nor the label alone."""
    for settings, labels in ((ON, {"app": "reviews"}), (MeshConfig(), ABLE)):
        mesh, proxy = world(REVIEWS, settings=settings), sidecar(LABELS=labels)
        assert inbound(mesh, proxy)[9080] == {("raw_buffer", False)}
        cluster = mesh.clusters(proxy)[CLUSTER_NAME]
        assert not cluster.transport_socket_matches


def test_a_workload_takes_both_until_it_is_told_otherwise(world: Any, sidecar: Any) -> None:
    proxy = sidecar(LABELS=ABLE)
    assert inbound(world(REVIEWS, settings=ON), proxy)[9080] == BOTH
    strict = inbound(world(REVIEWS, policy("STRICT"), settings=ON), proxy)
    assert strict[9080] == {("tls", True)}
    assert strict[0] == {("tls", True)}  # ports that nobody declared, too
    assert inbound(world(REVIEWS, policy("STRICT", "istio-system"), settings=ON), proxy)[9080] == {("tls", True)}
    assert inbound(world(REVIEWS, policy("STRICT", "other"), settings=ON), proxy)[9080] == BOTH
    ports = ", selector: {matchLabels: {app: reviews}}, portLevelMtls: {9080: {mode: DISABLE}}"
    mixed = inbound(world(REVIEWS, policy("STRICT", more=ports), settings=ON), proxy)
    assert (mixed[9080], mixed[9090]) == ({("raw_buffer", False)}, {("tls", True)})


def test_strict_keeps_plain_text_out_even_without_certificates(world: Any, sidecar: Any) -> None:
    assert inbound(world(REVIEWS, policy("STRICT")), sidecar(LABELS={"app": "reviews"}))[9080] == {("tls", True)}


def test_clients_expect_the_identities_of_the_endpoints(world: Any, sidecar: Any) -> None:
    cluster = world(REVIEWS, settings=ON).clusters(sidecar(ip="10.0.0.8", LABELS=ABLE))[CLUSTER_NAME]
    capable, other = cluster.transport_socket_matches
    assert json_format.MessageToDict(capable.match) == {"tlsMode": "istio"}
    assert other.transport_socket.name == "envoy.transport_sockets.raw_buffer"
    context = tls_pb2.UpstreamTlsContext()
    capable.transport_socket.typed_config.Unpack(context)
    assert context.sni == "outbound_.9080_._.reviews.default.svc.cluster.local"
    common = context.common_tls_context
    assert list(common.alpn_protocols) == ["istio-peer-exchange", "istio"]
    (expected,) = common.combined_validation_context.default_validation_context.match_typed_subject_alt_names
    assert expected.matcher.exact == "spiffe://cluster.local/ns/default/sa/bookinfo-reviews"


def test_a_gateway_shows_its_identity_without_a_label(world: Any, router: Any) -> None:
    """Its Pod has none: with it, clients inside of the mesh would speak TLS to servers that are stated to be plain."""
    mesh = world(REVIEWS, settings=ON)
    certified = router(PRINCIPAL="spiffe://cluster.local/ns/istio-system/sa/istio-ingressgateway")
    assert len(mesh.clusters(certified)[CLUSTER_NAME].transport_socket_matches) == 2
    assert not mesh.clusters(router())[CLUSTER_NAME].transport_socket_matches


def test_a_label_counts_for_more_than_an_identity(world: Any, sidecar: Any) -> None:
    mesh = world(REVIEWS, settings=ON)
    certified = "spiffe://cluster.local/ns/default/sa/bookinfo-reviews"
    assert mesh.clusters(sidecar(PRINCIPAL=certified))[CLUSTER_NAME].transport_socket_matches
    disabled = sidecar(PRINCIPAL=certified, LABELS=ABLE | {"security.istio.io/tlsMode": "disabled"})
    assert not mesh.clusters(disabled)[CLUSTER_NAME].transport_socket_matches


@pytest.mark.parametrize("mode", ["DISABLE", "SIMPLE"])
def test_a_rule_that_asks_for_something_else_gets_that(world: Any, sidecar: Any, mode: str) -> None:
    rule = f"""
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: r, namespace: default}}
spec: {{host: reviews, trafficPolicy: {{tls: {{mode: {mode}}}}}}}
"""
    cluster = world(REVIEWS, rule, settings=ON).clusters(sidecar(LABELS=ABLE))[CLUSTER_NAME]
    assert not cluster.transport_socket_matches
    assert cluster.HasField("transport_socket") == (mode == "SIMPLE")


def test_a_rule_for_mutual_tls_leaves_no_choice_to_the_endpoint(world: Any, sidecar: Any) -> None:
    rule = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: r, namespace: default}
spec: {host: reviews, trafficPolicy: {tls: {mode: ISTIO_MUTUAL}}}
"""
    cluster = world(REVIEWS, rule, settings=ON).clusters(sidecar(LABELS=ABLE))[CLUSTER_NAME]
    assert not cluster.transport_socket_matches
    assert cluster.transport_socket.name == "envoy.transport_sockets.tls"


def test_who_accepts_no_mutual_tls_does_not_say_that_it_would(world: Any, sidecar: Any) -> None:
    proxy = sidecar(ip="10.0.0.8", LABELS=ABLE)

    def says(*texts: str) -> bool:
        node = Node(proxy, world(REVIEWS, *texts, settings=ON).mesh)
        service = node.mesh.by_host["reviews.default.svc.cluster.local"][0]
        (found,) = capable(node.mesh, node.mesh.endpoints_of(service, "http"))
        (group,) = assignment(CLUSTER_NAME, (found,)).endpoints
        return "envoy.transport_socket_match" in group.lb_endpoints[0].metadata.filter_metadata

    assert says()
    assert says(policy("STRICT"))
    assert not says(policy("DISABLE"))


def test_a_policy_is_pushed_to_clients_and_servers(world: Any, sidecar: Any) -> None:
    old = world(REVIEWS, settings=ON).mesh
    new = world(REVIEWS, policy("DISABLE"), settings=ON, previous=old).mesh
    types = affected_types(difference(old, new), sidecar(ip="10.0.0.8", namespace="other"), old, new)
    assert set(types) == {CLUSTER, ENDPOINT, LISTENER}


@pytest.mark.parametrize("mode", ["PERMISSIVE", "STRICT"])
@pytest.mark.parametrize("interception", ["REDIRECT", "NONE"])
def test_envoy_accepts_it(world: Any, sidecar: Any, tmp_path: Path, mode: str, interception: str) -> None:
    """Listeners and clusters with secrets by SDS and an AuthorizationPolicy, at an Envoy that knows its agent."""
    allow = """
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: a, namespace: default}
spec: {rules: [{from: [{source: {principals: [cluster.local/ns/default/sa/productpage]}}]}]}
"""
    mesh = world(REVIEWS, policy(mode), allow, settings=ON)
    metadata = {"LABELS": ABLE, "INTERCEPTION_MODE": interception}
    if interception == "NONE":
        metadata |= {"BIND_ADDRESS": "127.1.0.9", "APP_ADDRESS": "127.2.0.9"}
    proxy = sidecar(**metadata)
    config = bootstrap_pb2.Bootstrap()
    config.node.id, config.node.cluster = proxy.id, "test"
    agent = config.static_resources.clusters.add(name="sds-grpc", type="STATIC")
    agent.http2_protocol_options.SetInParent()
    config.static_resources.listeners.extend(
        listener for listener in mesh.listeners(proxy).values() if listener.traffic_direction == INBOUND
    )
    for name, cluster in mesh.clusters(proxy).items():
        if cluster.HasField("eds_cluster_config"):
            cluster.ClearField("eds_cluster_config")
            cluster.type = cluster.STATIC
            cluster.load_assignment.cluster_name = name
        config.static_resources.clusters.append(cluster)
    chains = [chain for listener in config.static_resources.listeners for chain in listener.filter_chains]
    assert any(chain.HasField("transport_socket") for chain in chains)
    path = tmp_path / "envoy.json"
    path.write_text(json_format.MessageToJson(config))
    done = subprocess.run(
        [ENVOY, "--mode", "validate", "--concurrency", "1", "-l", "warning", "-c", path],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_whoever_has_an_identity_under_an_alias_of_the_trust_domain_is_one_of_us(world: Any, sidecar: Any) -> None:
    settings = MeshConfig(enable_auto_mtls=True, trust_domain="new.example", trust_domain_aliases=("old.example",))
    mesh, proxy = world(REVIEWS, settings=settings), sidecar(LABELS=ABLE)
    listener = mesh.listeners(proxy)["virtualInbound"]
    context = tls_pb2.DownstreamTlsContext()
    (chain,) = [
        each
        for each in listener.filter_chains
        if each.filter_chain_match.destination_port.value == 9080 and each.HasField("transport_socket")
    ]
    assert chain.transport_socket.typed_config.Unpack(context)
    checks = context.common_tls_context.combined_validation_context.default_validation_context
    assert [each.matcher.prefix for each in checks.match_typed_subject_alt_names] == [
        "spiffe://new.example/",
        "spiffe://old.example/",
    ]
    upstream = tls_pb2.UpstreamTlsContext()
    sockets = mesh.clusters(proxy)[CLUSTER_NAME].transport_socket_matches
    assert sockets[0].transport_socket.typed_config.Unpack(upstream)
    checks = upstream.common_tls_context.combined_validation_context.default_validation_context
    assert [each.matcher.exact for each in checks.match_typed_subject_alt_names] == [
        "spiffe://new.example/ns/default/sa/bookinfo-reviews",
        "spiffe://old.example/ns/default/sa/bookinfo-reviews",
    ]
