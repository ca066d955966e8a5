"""Which virtual hosts a sidecar's route configuration has, and who owns them."""

from typing import Any

from mizzen.pilot.base.meshconfig import MeshConfig

REVIEWS = "reviews.default.svc.cluster.local"
SERVICES = """
apiVersion: v1
kind: Service
metadata: {name: reviews}
spec: {clusterIP: 10.96.0.1, ports: [{port: 9080, name: http}, {port: 80, name: http-b}]}
---
apiVersion: v1
kind: Service
metadata: {name: ratings}
spec: {ports: [{port: 9080, name: http}]}
---
apiVersion: v1
kind: Service
metadata: {name: odd}
spec: {clusterIP: 10.96.0.3, ports: [{port: 7000, name: odd}, {port: 9080, name: tcp}]}
"""


def virtual_service(name: str, hosts: str, second: int = 0, subset: str = "v1", gateways: str = "[mesh]") -> str:
    return f"""
        apiVersion: networking.istio.io/v1
        kind: VirtualService
        metadata: {{name: {name}, creationTimestamp: '2026-01-01T00:00:{second:02d}Z'}}
        spec:
          hosts: {hosts}
          gateways: {gateways}
          http: [{{route: [{{destination: {{host: reviews, subset: {subset}, port: {{number: 9080}}}}}}]}}]
    """


def clusters(hosts: dict[str, Any]) -> dict[str, str]:
    return {name: host.routes[0].route.cluster for name, host in hosts.items()}


def test_services_of_the_port_and_the_rest(world: Any, sidecar: Any) -> None:
    message = world(SERVICES).routes(sidecar(), "9080")["9080"]
    assert clusters({host.name: host for host in message.virtual_hosts}) == {
        "ratings.default.svc.cluster.local:9080": "outbound|9080||ratings.default.svc.cluster.local",
        f"{REVIEWS}:9080": f"outbound|9080||{REVIEWS}",
        "allow_any": "PassthroughCluster",
    }
    assert message.virtual_hosts[-1].name == "allow_any"
    assert message.ignore_port_in_host_matching
    assert not message.validate_clusters.value
    assert message.virtual_hosts[0].include_request_attempt_count


def test_registry_only_refuses(world: Any, sidecar: Any) -> None:
    made = world(SERVICES, settings=MeshConfig(outbound_traffic_policy="REGISTRY_ONLY"))
    assert made.hosts(sidecar(), "9080")["block_all"].routes[0].direct_response.status == 502


def test_a_sniffed_port_of_one_service_serves_every_host(world: Any, sidecar: Any) -> None:
    name = "odd.default.svc.cluster.local:7000"
    hosts = world(SERVICES).hosts(sidecar(), name)
    assert list(hosts) == [name]
    assert list(hosts[name].domains) == ["*"]


def test_the_http_proxy_serves_every_port_by_authority(world: Any, sidecar: Any) -> None:
    made = world(SERVICES)
    message = made.routes(sidecar(), "http_proxy")["http_proxy"]
    assert not message.ignore_port_in_host_matching
    domains = {host.name: list(host.domains) for host in message.virtual_hosts}
    assert domains[f"{REVIEWS}:9080"] == [
        f"{REVIEWS}:9080", f"{REVIEWS}.:9080", "reviews:9080", "reviews.default.svc:9080", "reviews.default:9080",
        "10.96.0.1:9080",
    ]  # fmt: skip
    assert domains[f"{REVIEWS}:80"][:2] == [REVIEWS, f"{REVIEWS}:80"]
    assert "odd.default.svc.cluster.local:7000" in domains
    assert "odd.default.svc.cluster.local:9080" not in domains, "that port speaks TCP"


def test_the_oldest_virtual_service_owns_a_host(world: Any, sidecar: Any) -> None:
    made = world(
        SERVICES, virtual_service("new", "[reviews]", 2, "new"), virtual_service("old", "[reviews, ratings]", 1, "old")
    )
    assert clusters(made.hosts(sidecar(), "9080")) == {
        "ratings.default.svc.cluster.local:9080": f"outbound|9080|old|{REVIEWS}",
        f"{REVIEWS}:9080": f"outbound|9080|old|{REVIEWS}",
        "allow_any": "PassthroughCluster",
    }


def test_the_most_specific_host_owns_a_service(world: Any, sidecar: Any) -> None:
    made = world(
        SERVICES,
        virtual_service("all", "['*.default.svc.cluster.local']", 1, "wild"),
        virtual_service("wider", "['*.local']", 0, "wider"),
        virtual_service("exact", "[ratings]", 2, "exact"),
    )
    found = clusters(made.hosts(sidecar(), "9080"))
    assert found[f"{REVIEWS}:9080"] == f"outbound|9080|wild|{REVIEWS}"
    assert found["ratings.default.svc.cluster.local:9080"] == f"outbound|9080|exact|{REVIEWS}"


def test_a_gateways_virtual_service_does_not_reach_sidecars(world: Any, sidecar: Any) -> None:
    made = world(SERVICES, virtual_service("edge", f"[{REVIEWS}]", gateways="[edge]"))
    assert clusters(made.hosts(sidecar(), "9080"))[f"{REVIEWS}:9080"] == f"outbound|9080||{REVIEWS}"


def test_hosts_of_a_registry_wildcard_get_their_own_virtual_host(world: Any, sidecar: Any) -> None:
    entry = """
        apiVersion: networking.istio.io/v1
        kind: ServiceEntry
        metadata: {name: wild}
        spec: {hosts: ["*.wild.com"], ports: [{number: 8000, name: http, protocol: HTTP}], resolution: NONE}
    """
    made = world(SERVICES, entry, virtual_service("one", "[one.wild.com]"))
    hosts = made.hosts(sidecar(), "8000")
    assert clusters(hosts) == {
        "*.wild.com:8000": "outbound|8000||*.wild.com",
        "one.wild.com:8000": f"outbound|9080|v1|{REVIEWS}",
        "allow_any": "PassthroughCluster",
    }


def test_no_domain_is_claimed_twice(world: Any, sidecar: Any) -> None:
    entry = """
        apiVersion: networking.istio.io/v1
        kind: ServiceEntry
        metadata: {name: e}
        spec: {hosts: [reviews.default], ports: [{number: 9080, name: http, protocol: HTTP}], resolution: DNS}
    """
    made = world(SERVICES, entry)
    domains = [domain for host in made.hosts(sidecar(), "9080").values() for domain in host.domains]
    assert len(domains) == len(set(domains))
    assert "reviews.default" in made.hosts(sidecar(), "9080")["reviews.default:9080"].domains


def test_an_egress_listener_has_routes_of_its_own(world: Any, sidecar: Any) -> None:
    egress = """
        apiVersion: networking.istio.io/v1
        kind: Sidecar
        metadata: {name: s}
        spec:
          egress:
          - {port: {number: 9080, protocol: HTTP, name: a}, hosts: ["./ratings.default.svc.cluster.local"]}
          - {hosts: ["./*"]}
          outboundTrafficPolicy: {mode: REGISTRY_ONLY}
    """
    made = world(SERVICES, egress)
    assert list(made.hosts(sidecar(), "9080")) == ["ratings.default.svc.cluster.local:9080", "block_all"]
    assert list(made.hosts(sidecar(), "80")) == [f"{REVIEWS}:80", "block_all"]
