"""What a sidecar reaches: exportTo, Sidecar resources, and one service per host."""

from typing import Any

from mizzen.pilot.base.labels import NONE, labels


def service(name: str, namespace: str, export: str = "", port: int = 80) -> str:
    annotations = f", annotations: {{networking.istio.io/exportTo: '{export}'}}" if export else ""
    return (
        f"apiVersion: v1\nkind: Service\nmetadata: {{name: {name}, namespace: {namespace}{annotations}}}\n"
        f"spec: {{ports: [{{name: http, port: {port}}}]}}\n"
    )


def sidecar(name: str, namespace: str, egress: str, selector: str = "") -> str:
    chosen = f"  workloadSelector: {{labels: {selector}}}\n" if selector else ""
    return (
        f"apiVersion: networking.istio.io/v1\nkind: Sidecar\nmetadata: {{name: {name}, namespace: {namespace}}}\n"
        f"spec:\n{chosen}  egress: {egress}\n"
    )


def names(scope: Any) -> set[str]:
    return {f"{service.name}.{service.namespace}" for service in scope.services}


SERVICES = (service("a", "one"), service("b", "two"), service("c", "two", "."), service("d", "two", "~"))


def test_export(world: Any) -> None:
    mesh = world(*SERVICES).mesh
    assert names(mesh.scope("one", NONE)) == {"a.one", "b.two"}
    assert names(mesh.scope("two", NONE)) == {"a.one", "b.two", "c.two"}


def test_the_closest_sidecar_is_chosen(world: Any) -> None:
    mesh = world(
        *SERVICES,
        sidecar("root", "istio-system", "[{hosts: ['*/b.two.svc.cluster.local']}]"),
        sidecar("default", "one", "[{hosts: ['./*']}]"),
        sidecar("special", "one", "[{hosts: ['two/*']}]", "{app: web}"),
    ).mesh
    assert names(mesh.scope("one", NONE)) == {"a.one"}
    assert names(mesh.scope("one", labels({"app": "web", "v": "1"}))) == {"b.two"}
    assert names(mesh.scope("two", NONE)) == {"b.two"}
    assert names(mesh.open_scope("one")) == {"a.one", "b.two"}


def test_nothing_may_be_reached(world: Any) -> None:
    mesh = world(*SERVICES, sidecar("none", "one", "[{hosts: ['~/*']}]")).mesh
    assert names(mesh.scope("one", NONE)) == set()


ROUTE = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: a, namespace: one}
spec: {hosts: [a], http: [{route: [{destination: {host: b.two.svc.cluster.local}}]}]}
"""


def test_routes_bring_their_destinations(world: Any) -> None:
    mesh = world(*SERVICES, ROUTE, sidecar("own", "one", "[{hosts: ['./*']}]")).mesh
    assert names(mesh.scope("one", NONE)) == {"a.one", "b.two"}


def test_a_listener_with_a_port_lets_only_that_port_through(world: Any) -> None:
    both = """
        apiVersion: v1
        kind: Service
        metadata: {name: two-ports, namespace: one}
        spec: {ports: [{name: http, port: 80}, {name: http-b, port: 81}]}
    """
    egress = "[{port: {number: 81, protocol: HTTP, name: x}, hosts: ['./*']}]"
    mesh = world(both, *SERVICES, sidecar("own", "one", egress)).mesh
    (only,) = mesh.scope("one", NONE).services
    assert [port.number for port in only.ports] == [81]


def test_one_service_per_host(world: Any) -> None:
    def entry(namespace: str, second: int) -> str:
        return f"""
            apiVersion: networking.istio.io/v1
            kind: ServiceEntry
            metadata: {{name: web, namespace: {namespace}, creationTimestamp: '2026-01-01T00:00:0{second}Z'}}
            spec: {{hosts: [web.example.com], resolution: DNS, ports: [{{number: 80, name: http, protocol: HTTP}}]}}
        """

    mesh = world(entry("one", 2), entry("two", 1)).mesh
    assert names(mesh.scope("one", NONE)) == {"web.one"}
    assert names(mesh.scope("other", NONE)) == {"web.two"}


def test_conflicting_sidecars_are_reported(world: Any) -> None:
    made = world(sidecar("a", "one", "[{hosts: ['./*']}]"), sidecar("b", "one", "[{hosts: ['*/*']}]"))
    assert "Sidecar one/b" in made.problems[0]
    assert "Sidecar one/a is older" in made.problems[0]
