"""ServiceEntries and WorkloadEntries as services and endpoints."""

from typing import Any

from mizzen.pilot.snapshot.service import Resolution, ServiceKey

ENTRY = """
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: machines}
spec:
  hosts: [machines.internal]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{number: 80, name: http, protocol: HTTP, targetPort: 8080}, {number: 81, name: tcp, protocol: TCP}]
"""
SELECTOR = ENTRY + "  workloadSelector: {labels: {app: machine}}\n"
MACHINES = """
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: m1}
spec: {address: 10.9.0.1, labels: {app: machine}, ports: {http: 9000}, weight: 5, locality: eu/a/b}
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: elsewhere, namespace: other}
spec: {address: 10.9.0.2, labels: {app: machine}}
---
apiVersion: v1
kind: Pod
metadata: {name: p1, labels: {app: machine}}
spec: {}
status: {phase: Running, podIP: 10.0.0.5, conditions: [{type: Ready, status: "True"}]}
"""
KEY = ServiceKey("machines.internal", "default")


def addresses(world: Any, key: ServiceKey) -> list[tuple[str, int, str]]:
    return [(e.address, e.port, e.service_port) for e in world.mesh.endpoints.get(key, ())]


def test_ports_map_by_name_then_target_port(world: Any) -> None:
    made = world(ENTRY + "  endpoints: [{address: 10.1.1.1, ports: {http: 7000}}, {address: 10.1.1.2}]\n")
    assert addresses(made, KEY) == [
        ("10.1.1.1", 7000, "http"),
        ("10.1.1.1", 81, "tcp"),
        ("10.1.1.2", 8080, "http"),
        ("10.1.1.2", 81, "tcp"),
    ]


def test_selector_takes_machines_and_pods_of_its_namespace(world: Any) -> None:
    made = world(SELECTOR, MACHINES)
    assert addresses(made, KEY) == [
        ("10.9.0.1", 9000, "http"),
        ("10.9.0.1", 81, "tcp"),
        ("10.0.0.5", 8080, "http"),
        ("10.0.0.5", 81, "tcp"),
    ]
    machine = made.mesh.endpoints[KEY][0]
    assert (machine.weight, machine.locality, machine.workload) == (5, "eu/a/b", "m1")


def test_a_kubernetes_service_selects_machines_too(world: Any) -> None:
    service = """
        apiVersion: v1
        kind: Service
        metadata: {name: shop}
        spec: {selector: {app: machine}, ports: [{name: http, port: 80, targetPort: 8000}]}
    """
    made = world(service, MACHINES)
    assert addresses(made, ServiceKey("shop.default.svc.cluster.local", "default")) == [("10.9.0.1", 9000, "http")]


def test_names_resolve_to_themselves(world: Any) -> None:
    mesh = world("""
        apiVersion: networking.istio.io/v1
        kind: ServiceEntry
        metadata: {name: web}
        spec:
          hosts: [www.example.com, api.example.com]
          ports: [{number: 80, name: http, protocol: HTTP}]
          resolution: DNS
          exportTo: ["."]
    """).mesh
    assert [(s.hostname, s.resolution) for s in mesh.services] == [
        ("www.example.com", Resolution.DNS),
        ("api.example.com", Resolution.DNS),
    ]
    assert [e.address for e in mesh.endpoints[ServiceKey("api.example.com", "default")]] == ["api.example.com"]
    assert mesh.services[0].export_to == {"default"}
    assert mesh.services[0].external
