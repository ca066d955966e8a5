"""Endpoint sets."""

from typing import Any

from mizzen.pilot.generate import typeurls
from mizzen.pilot.generate.api import generate

HOST = "reviews.default.svc.cluster.local"
CONFIG = """
apiVersion: v1
kind: Service
metadata: {name: reviews}
spec: {ports: [{port: 80, name: http}, {port: 81, name: admin}]}
---
apiVersion: v1
kind: Pod
metadata: {name: a, labels: {version: v1, app: reviews, istio-locality: eu.b.c, security.istio.io/tlsMode: istio}}
spec: {}
---
apiVersion: v1
kind: Pod
metadata: {name: b, labels: {version: v2, app: reviews, istio-locality: eu.a}}
spec: {}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: reviews, labels: {kubernetes.io/service-name: reviews}}
addressType: IPv4
ports: [{port: 9080, name: http}, {port: 9081, name: admin}]
endpoints:
- {addresses: [10.0.0.1], targetRef: {kind: Pod, name: a}}
- {addresses: [10.0.0.2], targetRef: {kind: Pod, name: b}, conditions: {ready: false}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: reviews}
spec: {host: reviews, subsets: [{name: v2, labels: {version: v2}}]}
"""


def test_ports_subsets_and_unknown_names(world: Any, sidecar: Any) -> None:
    names = [f"outbound|80||{HOST}", f"outbound|81|v2|{HOST}", f"outbound|80|v9|{HOST}", "outbound|80||gone", "odd"]
    assert world(CONFIG).endpoints(sidecar(), *names) == {
        names[0]: [("10.0.0.2", 9080), ("10.0.0.1", 9080)],
        names[1]: [("10.0.0.2", 9081)],
        names[2]: [],
        names[3]: [],
        names[4]: [],
    }


def test_localities_health_and_metadata(world: Any, sidecar: Any) -> None:
    from envoy.config.endpoint.v3 import endpoint_pb2
    from google.protobuf import any_pb2

    name = f"outbound|80||{HOST}"
    found = generate(typeurls.ENDPOINT, sidecar(CLUSTER_ID="k1"), world(CONFIG).mesh, frozenset({name})).resources
    message = endpoint_pb2.ClusterLoadAssignment()
    assert any_pb2.Any.FromString(found[name].body).Unpack(message)
    first, second = message.endpoints
    assert (first.locality.region, first.locality.zone, first.locality.sub_zone) == ("eu", "a", "")
    assert (second.locality.zone, second.locality.sub_zone) == ("b", "c")
    assert first.load_balancing_weight.value == 1
    (down,), (up,) = first.lb_endpoints, second.lb_endpoints
    assert (down.health_status, up.health_status) == (2, 0)
    assert up.metadata.filter_metadata["istio"]["workload"] == "a;default;reviews;v1;k1"
    assert up.metadata.filter_metadata["envoy.transport_socket_match"]["tlsMode"] == "istio"
    assert "envoy.transport_socket_match" not in down.metadata.filter_metadata
