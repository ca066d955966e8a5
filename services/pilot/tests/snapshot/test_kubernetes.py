"""Kubernetes objects as services and endpoints."""

from typing import Any

from mizzen.pilot.snapshot.service import Resolution, ServiceKey

SERVICE = """
apiVersion: v1
kind: Service
metadata: {name: reviews, namespace: shop, annotations: {networking.istio.io/exportTo: "., other"}}
spec:
  clusterIP: 10.96.0.1
  selector: {app: reviews}
  ports: [{name: http, port: 80, targetPort: 9080}, {name: admin, port: 81, targetPort: web}]
"""
PODS = """
apiVersion: v1
kind: Pod
metadata:
  name: reviews-v1-7d9-abc
  namespace: shop
  labels: {app: reviews, version: v1, istio-locality: eu.eu-1.r2, topology.istio.io/network: net1}
  ownerReferences: [{apiVersion: apps/v1, kind: ReplicaSet, name: reviews-v1-7d9}]
spec: {serviceAccountName: reviews-sa}
"""
SLICE = """
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: reviews-x, namespace: shop, labels: {kubernetes.io/service-name: reviews}}
addressType: IPv4
ports: [{name: http, port: 9080}]
endpoints:
- {addresses: [10.0.0.1], targetRef: {kind: Pod, name: reviews-v1-7d9-abc}}
- {addresses: [10.0.0.2], zone: z1, conditions: {ready: false}}
- {addresses: [10.0.0.3], conditions: {ready: false, terminating: true}}
"""
KEY = ServiceKey("reviews.shop.svc.cluster.local", "shop")


def test_service(world: Any) -> None:
    service = world(SERVICE).mesh.by_key[KEY]
    assert (service.name, service.addresses, service.resolution) == ("reviews", ("10.96.0.1",), Resolution.STATIC)
    assert [(port.number, port.target_port) for port in service.ports] == [(80, 9080), (81, "web")]
    assert service.export_to == {"shop", "other"}
    assert service.origin == "Service shop/reviews"


def test_slices_take_labels_from_pods_and_drop_terminating_ones(world: Any) -> None:
    first, second = world(SERVICE, PODS, SLICE).mesh.endpoints[KEY]
    assert (first.address, first.port, first.service_port, first.healthy) == ("10.0.0.1", 9080, "http", True)
    assert ("version", "v1") in first.labels
    assert (first.workload, first.service_account, first.locality) == ("reviews-v1", "reviews-sa", "eu/eu-1/r2")
    assert first.network == "net1"
    assert (second.address, second.healthy, second.locality) == ("10.0.0.2", False, "/z1")


def test_endpoints_stand_where_their_nodes_do_unless_their_pod_says_otherwise(world: Any) -> None:
    nodes = """
        apiVersion: v1
        kind: Node
        metadata:
          name: a
          labels: {topology.kubernetes.io/region: eu, topology.kubernetes.io/zone: eu-2, topology.istio.io/subzone: r1}
        ---
        apiVersion: v1
        kind: Node
        metadata: {name: b, labels: {failure-domain.beta.kubernetes.io/region: us}}
        ---
        apiVersion: v1
        kind: Pod
        metadata: {name: on-b, namespace: shop}
        spec: {nodeName: b}
    """
    slices = SLICE + (
        "- {addresses: [10.0.0.4], nodeName: a, zone: z1}\n"
        "- {addresses: [10.0.0.5], targetRef: {kind: Pod, name: on-b}}\n"
        "- {addresses: [10.0.0.6], nodeName: a, targetRef: {kind: Pod, name: reviews-v1-7d9-abc}}\n"
    )
    found = {
        endpoint.address: endpoint.locality for endpoint in world(SERVICE, PODS, slices, nodes).mesh.endpoints[KEY]
    }
    assert (found["10.0.0.4"], found["10.0.0.5"], found["10.0.0.6"]) == ("eu/eu-2/r1", "us", "eu/eu-1/r2")


def test_publish_not_ready(world: Any) -> None:
    made = world(SERVICE + "  publishNotReadyAddresses: true\n", SLICE)
    assert [endpoint.healthy for endpoint in made.mesh.endpoints[KEY]] == [True, True]


ENDPOINTS = """
apiVersion: v1
kind: Endpoints
metadata: {name: reviews, namespace: shop}
subsets:
- addresses: [{ip: 10.1.0.1}]
  notReadyAddresses: [{ip: 10.1.0.2}]
  ports: [{name: http, port: 9080}]
"""


def test_endpoints_count_only_without_slices(world: Any) -> None:
    alone = world(SERVICE, ENDPOINTS).mesh.endpoints[KEY]
    assert [(endpoint.address, endpoint.healthy) for endpoint in alone] == [("10.1.0.1", True), ("10.1.0.2", False)]
    both = world(SERVICE, ENDPOINTS, SLICE).mesh.endpoints[KEY]
    assert {endpoint.address for endpoint in both} == {"10.0.0.1", "10.0.0.2"}


def test_headless_and_external_name(world: Any) -> None:
    mesh = world("""
        apiVersion: v1
        kind: Service
        metadata: {name: db}
        spec: {clusterIP: None, ports: [{port: 5432, name: tcp}]}
        ---
        apiVersion: v1
        kind: Service
        metadata: {name: out}
        spec: {type: ExternalName, externalName: example.org, ports: [{port: 80, name: http}]}
    """).mesh
    database, outside = (mesh.by_host[f"{name}.default.svc.cluster.local"][0] for name in ("db", "out"))
    assert (database.headless, database.resolution) == (True, Resolution.PASSTHROUGH)
    assert outside.resolution is Resolution.DNS
    assert [endpoint.address for endpoint in mesh.endpoints[outside.key]] == ["example.org"]
