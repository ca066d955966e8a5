"""Gateways with AUTO_PASSTHROUGH: where the names that clients ask for lead, and where they do not."""

from __future__ import annotations

from typing import Any

import pytest
from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.endpoint.v3 import endpoint_pb2
from envoy.extensions.filters.network.tcp_proxy.v3 import tcp_proxy_pb2
from google.protobuf import any_pb2

from mizzen.api.resource import ResourceKey
from mizzen.pilot.base.meshconfig import MeshConfig
from mizzen.pilot.generate import names
from mizzen.pilot.generate.affects import affected_types
from mizzen.pilot.generate.api import generate
from mizzen.pilot.generate.typeurls import CLUSTER, ENDPOINT, LISTENER, ROUTE, SECRET
from mizzen.pilot.snapshot.diff import difference

ON = MeshConfig(enable_auto_mtls=True)
ALPN = ["istio-http/1.0", "istio-http/1.1", "istio-h2", "istio-peer-exchange", "istio"]
MESH = """
apiVersion: v1
kind: Service
metadata: {name: reviews, namespace: default}
spec:
  selector: {app: reviews}
  ports: [{name: http, port: 9080}, {name: udp, port: 53, protocol: UDP}]
---
apiVersion: v1
kind: Service
metadata: {name: ledger, namespace: bank}
spec: {ports: [{name: tcp, port: 6379}]}
---
apiVersion: v1
kind: Pod
metadata: {name: new, namespace: default, labels: {app: reviews, version: v2, security.istio.io/tlsMode: istio}}
status: {podIP: 10.0.0.9}
---
apiVersion: v1
kind: Pod
metadata: {name: old, namespace: default, labels: {app: reviews, version: v2}}
status: {podIP: 10.0.0.8}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: reviews-1, namespace: default, labels: {kubernetes.io/service-name: reviews}}
addressType: IPv4
ports: [{name: http, port: 9080}]
endpoints:
- {addresses: [10.0.0.9], targetRef: {kind: Pod, name: new, namespace: default}}
- {addresses: [10.0.0.8], targetRef: {kind: Pod, name: old, namespace: default}}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: outside, namespace: default}
spec:
  hosts: [outside.svc.cluster.local]
  location: MESH_EXTERNAL
  resolution: STATIC
  ports: [{number: 443, name: tls, protocol: TLS}]
  endpoints: [{address: 192.0.2.1}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: reviews, namespace: default}
spec:
  host: reviews
  trafficPolicy: {tls: {mode: SIMPLE}}
  subsets: [{name: v2, labels: {version: v2}}]
"""
REVIEWS = "outbound_.9080_._.reviews.default.svc.cluster.local"
REVIEWS_V2 = "outbound_.9080_.v2_.reviews.default.svc.cluster.local"
LEDGER = "outbound_.6379_._.ledger.bank.svc.cluster.local"


def gateway(hosts: str = "'*.local'", mode: str = "AUTO_PASSTHROUGH") -> str:
    server = f"{{port: {{number: 15443, name: tls, protocol: TLS}}, hosts: [{hosts}], tls: {{mode: {mode}}}}}"
    return (
        "apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {name: eastwest, namespace: default}\n"
        f"spec: {{selector: {{istio: ingressgateway}}, servers: [{server}]}}\n"
    )


def leads(made: Any, proxy: Any) -> dict[str, str]:
    """Names that clients may ask for, and the cluster of each."""
    listener = made.listeners(proxy).get("0.0.0.0_15443")
    found = {}
    for chain in listener.filter_chains if listener is not None else ():
        (name,) = chain.filter_chain_match.server_names
        assert list(chain.filter_chain_match.application_protocols) == ALPN
        assert not chain.HasField("transport_socket")
        message = tcp_proxy_pb2.TcpProxy()
        assert chain.filters[-1].typed_config.Unpack(message)
        found[name] = message.cluster
    return found


def clusters(made: Any, proxy: Any) -> dict[str, Any]:
    found = {}
    for name, encoded in generate(CLUSTER, proxy, made.mesh, None).resources.items():
        if name.startswith("outbound_."):
            found[name] = cluster_pb2.Cluster()
            assert any_pb2.Any.FromString(encoded.body).Unpack(found[name])
    return found


def test_each_port_and_subset_is_led_to_its_cluster(world: Any, router: Any) -> None:
    made = world(MESH, gateway(), settings=ON)
    assert leads(made, router()) == {name: name for name in (REVIEWS, REVIEWS_V2, LEDGER)}
    assert set(clusters(made, router())) == {REVIEWS, REVIEWS_V2, LEDGER}


@pytest.mark.parametrize(
    ("hosts", "expected"),
    [
        ("'*'", {REVIEWS, REVIEWS_V2, LEDGER}),
        ("./*.local", {REVIEWS, REVIEWS_V2}),
        ("bank/*", {LEDGER}),
        ("'*.default.svc.cluster.local'", {REVIEWS, REVIEWS_V2}),
        ("ledger.bank.svc.cluster.local", {LEDGER}),
        ("outside.svc.cluster.local", set()),
        ("shop.example", set()),
    ],
)
def test_istio_security_2021_006_only_what_a_server_states_is_reached(
    world: Any, router: Any, hosts: str, expected: set[str]
) -> None:
    made = world(MESH, gateway(hosts), settings=ON)
    assert set(leads(made, router())) == set(clusters(made, router())) == expected


def test_tls_goes_through_whatever_a_rule_says(world: Any, router: Any) -> None:
    found = clusters(world(MESH, gateway(), settings=ON), router())[REVIEWS]
    assert not found.HasField("transport_socket")
    assert not found.transport_socket_matches
    assert found.eds_cluster_config.service_name == REVIEWS


@pytest.mark.parametrize("name", [REVIEWS, REVIEWS_V2])
def test_endpoints_are_those_that_speak_mutual_tls(world: Any, router: Any, name: str) -> None:
    made = world(MESH, gateway(), settings=ON)
    encoded = generate(ENDPOINT, router(), made.mesh, frozenset({name})).resources[name]
    message = endpoint_pb2.ClusterLoadAssignment()
    assert any_pb2.Any.FromString(encoded.body).Unpack(message)
    addresses = [e.endpoint.address.socket_address.address for group in message.endpoints for e in group.lb_endpoints]
    assert addresses == ["10.0.0.9"]


def test_other_proxies_have_no_such_clusters(world: Any, router: Any, sidecar: Any) -> None:
    made = world(MESH, gateway(), settings=ON)
    assert clusters(made, sidecar()) == {}
    assert clusters(made, router(LABELS={"istio": "egressgateway"})) == {}
    assert clusters(world(MESH, gateway(mode="PASSTHROUGH"), settings=ON), router()) == {}


def test_a_gateway_brings_its_clusters(world: Any, router: Any, sidecar: Any) -> None:
    old, new = world(MESH, settings=ON).mesh, world(MESH, gateway(), settings=ON).mesh
    change = difference(old, new)
    assert change.config == {ResourceKey("Gateway", "default", "eastwest")}
    assert set(affected_types(change, router(), old, new)) == {CLUSTER, ENDPOINT, LISTENER, ROUTE, SECRET}
    assert affected_types(change, sidecar(), old, new) == ()


@pytest.mark.parametrize("name", [REVIEWS, REVIEWS_V2, "outbound|9080|v2|reviews.default.svc.cluster.local"])
def test_names_are_read_as_they_are_written(name: str) -> None:
    cluster = names.parse_cluster(name)
    assert cluster is not None
    assert str(cluster) == name
    assert names.host_of(name) == "reviews.default.svc.cluster.local"
