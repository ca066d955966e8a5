"""What gRPC's own client is told."""

from typing import Any

from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm_pb2

REVIEWS = "reviews.default.svc.cluster.local"
CONFIG = """
apiVersion: v1
kind: Service
metadata: {name: reviews}
spec: {ports: [{port: 9080, name: grpc}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: reviews, labels: {kubernetes.io/service-name: reviews}}
addressType: IPv4
ports: [{port: 9080, name: grpc}]
endpoints: [{addresses: [10.0.0.1]}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews}
spec:
  hosts: [reviews]
  http:
  - timeout: 2s
    route:
    - {destination: {host: reviews, subset: v1}, weight: 90}
    - {destination: {host: reviews}, weight: 10}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: reviews}
spec:
  host: reviews
  trafficPolicy: {loadBalancer: {simple: RANDOM}}
  subsets: [{name: v1, trafficPolicy: {loadBalancer: {consistentHash: {useSourceIp: true, maglev: {tableSize: 101}}}}}]
"""


def test_a_target_leads_to_its_endpoints(world: Any, sidecar: Any) -> None:
    made, client = world(CONFIG), sidecar(GENERATOR="grpc")
    target = f"{REVIEWS}:9080"
    listeners = made.listeners(client, [target, "nowhere:1", "not a target"])
    assert list(listeners) == [target]
    manager = hcm_pb2.HttpConnectionManager()
    assert listeners[target].api_listener.api_listener.Unpack(manager)
    assert manager.http_filters[-1].name == "envoy.filters.http.router"
    name = manager.rds.route_config_name
    (host,) = made.routes(client, name)[name].virtual_hosts
    assert list(host.domains) == ["*"]
    action = host.routes[0].route
    assert action.max_stream_duration.max_stream_duration.seconds == 2
    targets = [entry.name for entry in action.weighted_clusters.clusters]
    assert targets == [f"outbound|9080|v1|{REVIEWS}", f"outbound|9080||{REVIEWS}"]
    clusters = made.clusters(client, targets)
    policies = {name: message.lb_policy for name, message in clusters.items()}
    kinds = clusters[targets[0]]
    assert policies == {targets[0]: kinds.RING_HASH, targets[1]: kinds.ROUND_ROBIN}
    assert made.endpoints(client, targets[1]) == {targets[1]: [("10.0.0.1", 9080)]}


def test_unknown_names_are_left_out(world: Any, sidecar: Any) -> None:
    made, client = world(CONFIG), sidecar(GENERATOR="grpc")
    assert made.routes(client, "9080", "outbound|1||x") == {}
    assert list(made.clusters(client, ["BlackHoleCluster", "x"])) == []
    assert made.listeners(client) == {}
