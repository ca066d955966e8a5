"""Gateways: ports, hosts, and how VirtualServices share them."""

from typing import Any

from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm_pb2

SERVICE = """
apiVersion: v1
kind: Service
metadata: {name: istio-ingressgateway, namespace: istio-system}
spec:
  selector: {istio: ingressgateway}
  ports: [{port: 80, name: http2, targetPort: 8080}, {port: 8081, name: more, targetPort: 8081}]
---
apiVersion: v1
kind: Service
metadata: {name: reviews}
spec: {ports: [{port: 9080, name: http}]}
"""


def gateway(*servers: str, name: str = "edge", selector: str = "{istio: ingressgateway}") -> str:
    lines = "".join(f"  - {server}\n" for server in servers)
    return (
        f"apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {{name: {name}}}\n"
        f"spec:\n  selector: {selector}\n  servers:\n{lines}"
    )


def http(hosts: str = "['*']", number: int = 80, extra: str = "") -> str:
    return f"{{port: {{number: {number}, name: http-{number}, protocol: HTTP}}, hosts: {hosts}{extra}}}"


def virtual_service(name: str, hosts: str, http: str, second: int = 0, namespace: str = "default") -> str:
    return (
        "apiVersion: networking.istio.io/v1\nkind: VirtualService\n"
        f"metadata: {{name: {name}, namespace: {namespace}, creationTimestamp: '2026-01-01T00:00:{second:02d}Z'}}\n"
        f"spec: {{hosts: {hosts}, gateways: [default/edge], http: {http}}}\n"
    )


def to(subset: str, uri: str = "") -> str:
    match = f"match: [{{uri: {{prefix: {uri}}}}}], " if uri else ""
    host = "reviews.default.svc.cluster.local"
    return f"{{{match}route: [{{destination: {{host: {host}, subset: {subset}}}}}]}}"


def subsets(host: Any) -> list[str]:
    return [route.route.cluster.split("|")[2] for route in host.routes]


def test_policies_guard_gateways_too(world: Any, router: Any) -> None:
    policy = (
        "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: p, namespace: istio-system}\n"
        "spec: {selector: {matchLabels: {istio: ingressgateway}}, action: DENY, rules: [{}]}\n"
    )
    made = world(SERVICE, gateway(http()), policy)
    manager = hcm_pb2.HttpConnectionManager()
    made.listeners(router())["0.0.0.0_8080"].filter_chains[0].filters[0].typed_config.Unpack(manager)
    assert manager.http_filters[0].name == "envoy.filters.http.rbac"


def test_the_listener_is_on_the_target_port_and_so_is_its_route_name(world: Any, router: Any) -> None:
    made = world(SERVICE, gateway(http(), http("['a.com']", 9999)))
    listeners = made.listeners(router())
    assert list(listeners) == ["0.0.0.0_8080", "0.0.0.0_9999"]
    manager = hcm_pb2.HttpConnectionManager()
    listeners["0.0.0.0_8080"].filter_chains[0].filters[0].typed_config.Unpack(manager)
    assert manager.rds.route_config_name == "http.8080"
    assert manager.use_remote_address.value
    assert manager.server_name == "istio-envoy"
    assert manager.forward_client_cert_details == manager.SANITIZE_SET
    details = manager.set_current_client_cert_details
    assert (details.subject.value, details.cert, details.dns, details.uri) == (True, True, True, True)


def test_bind_address(world: Any, router: Any) -> None:
    made = world(SERVICE, gateway(http(), http("['*']", 8081, ", bind: 127.0.0.5")))
    listeners = made.listeners(router(BIND_ADDRESS="127.0.0.1"))
    bound = {name: listener.address.socket_address.address for name, listener in listeners.items()}
    assert bound == {"0.0.0.0_8080": "127.0.0.1", "127.0.0.5_8081": "127.0.0.5"}
    assert list(made.routes(router(), "http.8081.127.0.0.5")) == ["http.8081.127.0.0.5"]


def test_virtual_services_of_one_host_are_joined_with_catch_alls_last(world: Any, router: Any) -> None:
    made = world(
        SERVICE,
        gateway(http("[a.com]")),
        virtual_service("second", "[a.com]", f"[{to('two', '/two')}]", 2),
        virtual_service("first", "[a.com]", f"[{to('one')}]", 1),
    )
    hosts = made.hosts(router(), "http.8080")
    assert list(hosts) == ["a.com:8080"]
    assert list(hosts["a.com:8080"].domains) == ["a.com"]
    assert subsets(hosts["a.com:8080"]) == ["two", "one"]


def test_hosts_are_intersected(world: Any, router: Any) -> None:
    made = world(
        SERVICE,
        gateway(http("['*.example.com', 'other/o.com', './own.com']")),
        virtual_service("exact", "[a.example.com, o.com, nothing.org]", f"[{to('exact')}]", 1),
        virtual_service("all", "['*']", f"[{to('all')}]", 2),
        virtual_service("other", "[o.com, own.com]", f"[{to('other')}]", 3, "other"),
    )
    hosts = made.hosts(router(), "http.8080")
    assert {name: subsets(host) for name, host in hosts.items()} == {
        "*.example.com:8080": ["all"],
        "a.example.com:8080": ["exact"],
        "o.com:8080": ["other"],
        "own.com:8080": ["all"],
    }


def test_no_routes_is_a_black_hole(world: Any, router: Any) -> None:
    hosts = world(SERVICE, gateway(http())).hosts(router(), "http.8080")
    assert list(hosts) == ["blackhole:8080"]
    assert not hosts["blackhole:8080"].routes


def test_redirect_to_https(world: Any, router: Any) -> None:
    made = world(
        SERVICE,
        gateway(http("[a.com]", extra=", tls: {httpsRedirect: true}")),
        virtual_service("a", "[a.com]", f"[{to('v1')}]"),
    )
    host = made.hosts(router(), "http.8080")["a.com:8080"]
    assert host.require_tls == host.ALL


def test_only_the_selected_gateway_gets_it(world: Any, router: Any) -> None:
    made = world(SERVICE, gateway(http(), selector="{istio: egressgateway}"))
    assert made.listeners(router()) == {}
    assert not made.routes(router(), "http.8080")["http.8080"].virtual_hosts


def test_gateways_see_services_whatever_sidecars_may(world: Any, router: Any) -> None:
    narrow = """
        apiVersion: networking.istio.io/v1
        kind: Sidecar
        metadata: {name: s, namespace: istio-system}
        spec: {egress: [{hosts: ["./*"]}]}
    """
    made = world(SERVICE, narrow)
    assert "outbound|9080||reviews.default.svc.cluster.local" in made.clusters(router())
