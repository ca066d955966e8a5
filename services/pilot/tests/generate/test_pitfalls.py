"""mesh.md 10: pitfalls, as far as they are the control plane's."""

from typing import Any

import yaml

from mizzen.pilot.generate.api import generate
from mizzen.pilot.generate.typeurls import ROUTE

SERVICE = """
apiVersion: v1
kind: Service
metadata: {name: reviews}
spec: {ports: [{port: 9080, name: http}]}
"""
HOST = "reviews.default.svc.cluster.local"


def virtual_service(name: str, hosts: list[str], second: int, gateways: list[str] | None = None, **http: Any) -> str:
    rule = {"route": [{"destination": {"host": HOST, "subset": name, "port": {"number": 9080}}}], **http}
    return yaml.safe_dump(
        {
            "apiVersion": "networking.istio.io/v1", "kind": "VirtualService",
            "metadata": {"name": name, "creationTimestamp": f"2026-01-01T00:00:0{second}Z"},
            "spec": {"hosts": hosts, "gateways": gateways or ["mesh"], "http": [rule]},
        }
    )  # fmt: skip


GATEWAY = """
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: edge}
spec:
  selector: {istio: ingressgateway}
  servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ["*"]}]
"""


def subsets(host: Any) -> list[str]:
    return [route.route.cluster.split("|")[2] for route in host.routes]


def test_1_sidecars_do_not_merge_virtual_services_but_gateways_do(world: Any, sidecar: Any, router: Any) -> None:
    both = ["mesh", "edge"]
    made = world(SERVICE, GATEWAY, virtual_service("old", [HOST], 1, both), virtual_service("new", [HOST], 2, both))
    assert subsets(made.hosts(sidecar(), "9080")[f"{HOST}:9080"]) == ["old"]
    assert subsets(made.hosts(router(), "http.80")[f"{HOST}:80"]) == ["old", "new"]


def test_2_a_prefix_is_a_plain_one(world: Any, sidecar: Any) -> None:
    made = world(SERVICE, virtual_service("v", [HOST], 1, match=[{"uri": {"prefix": "/foo"}}]))
    (route,) = made.hosts(sidecar(), "9080")[f"{HOST}:9080"].routes
    assert route.match.prefix == "/foo"
    assert not route.match.path_separated_prefix


def test_4_only_names_without_a_dot_are_short(world: Any) -> None:
    made = world(virtual_service("v", ["reviews", "reviews.prod"], 1))
    assert made.mesh.routings[0].hosts == (HOST, "reviews.prod")


def test_5_unregistered_hosts_work_on_port_80_alone(world: Any, sidecar: Any) -> None:
    made = world(SERVICE, virtual_service("v", ["unknown.example.com"], 1))
    assert "unknown.example.com:80" in made.hosts(sidecar(), "80")
    assert list(made.hosts(sidecar(), "9080")) == [f"{HOST}:9080", "allow_any"]


def test_10_http_and_headless_tcp_on_one_port(world: Any, sidecar: Any) -> None:
    headless = """
        apiVersion: v1
        kind: Service
        metadata: {name: db}
        spec: {clusterIP: None, ports: [{port: 9080, name: tcp}]}
        ---
        apiVersion: discovery.k8s.io/v1
        kind: EndpointSlice
        metadata: {name: db, labels: {kubernetes.io/service-name: db}}
        addressType: IPv4
        ports: [{port: 9080, name: tcp}]
        endpoints: [{addresses: [10.0.0.5]}, {addresses: [10.0.0.9]}]
    """
    found = world(SERVICE, headless).listeners(sidecar(ip="10.0.0.9"))
    assert {"0.0.0.0_9080", "10.0.0.5_9080"} <= set(found)
    assert "10.0.0.9_9080" not in found, "its own address is inbound"
    sniffing = found["0.0.0.0_9080"]
    assert [entry.name.rpartition(".")[2] for entry in sniffing.listener_filters] == ["http_inspector"]
    assert (sniffing.listener_filters_timeout.seconds, sniffing.continue_on_listener_filters_timeout) == (0, True)


def test_12_services_without_addresses_collide(world: Any, sidecar: Any) -> None:
    def entry(name: str, second: int) -> str:
        return f"""
            apiVersion: networking.istio.io/v1
            kind: ServiceEntry
            metadata: {{name: {name}, creationTimestamp: '2026-01-01T00:00:0{second}Z'}}
            spec: {{hosts: [{name}.com], resolution: DNS, ports: [{{number: 5432, name: tcp, protocol: TCP}}]}}
        """

    listener = world(entry("b", 2), entry("a", 1)).listeners(sidecar())["0.0.0.0_5432"]
    (chain,) = listener.filter_chains
    assert b"outbound|5432||a.com" in chain.filters[0].typed_config.value


def test_13_the_default_retry_does_not_retry_503(world: Any, sidecar: Any) -> None:
    (route,) = world(SERVICE).hosts(sidecar(), "9080")[f"{HOST}:9080"].routes
    assert "retriable-status-codes" in route.route.retry_policy.retry_on
    assert list(route.route.retry_policy.retriable_status_codes) == []


def test_16_unknown_names_are_answered_empty(world: Any, sidecar: Any, router: Any) -> None:
    made = world(SERVICE)
    for name in ("nonsense", "not:a:port:x", "https.443.a.b.c"):
        for proxy in (sidecar(), router()):
            message = made.routes(proxy, name)[name]
            assert list(message.virtual_hosts) == []
            assert not message.validate_clusters.value


def test_16_a_gateway_that_drains_a_listener_keeps_its_routes(world: Any, router: Any) -> None:
    made = generate(ROUTE, router(), world(SERVICE).mesh, frozenset({"http.80"}))
    assert (made.resources, list(made.substitutes)) == ({}, ["http.80"])


def test_18_the_root_namespaces_rules_come_last(world: Any, sidecar: Any) -> None:
    def rule(namespace: str, policy: str) -> str:
        return f"""
            apiVersion: networking.istio.io/v1
            kind: DestinationRule
            metadata: {{name: r, namespace: {namespace}}}
            spec: {{host: {HOST}, trafficPolicy: {{loadBalancer: {{simple: {policy}}}}}}}
        """

    name = f"outbound|9080||{HOST}"
    client = sidecar(namespace="other")
    root, theirs = rule("istio-system", "RANDOM"), rule("default", "ROUND_ROBIN")
    alone = world(SERVICE, root).clusters(client)[name]
    both = world(SERVICE, root, theirs).clusters(client)[name]
    assert (alone.lb_policy, both.lb_policy) == (alone.RANDOM, alone.ROUND_ROBIN)
