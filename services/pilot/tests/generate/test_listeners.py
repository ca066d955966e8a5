"""Listeners of sidecars: names, chains, contested ports, interception modes."""

from typing import Any

import pytest
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm_pb2
from envoy.extensions.filters.network.tcp_proxy.v3 import tcp_proxy_pb2

from mizzen.pilot.base.meshconfig import MeshConfig


def service(name: str, ports: str, ip: str = "", second: int = 0, selector: str = "") -> str:
    address = f"clusterIP: {ip}, " if ip else ""
    chosen = f"selector: {selector}, " if selector else ""
    return (
        "apiVersion: v1\nkind: Service\n"
        f"metadata: {{name: {name}, creationTimestamp: '2026-01-01T00:00:{second:02d}Z'}}\n"
        f"spec: {{{address}{chosen}ports: [{ports}]}}\n"
    )


def handler(chain: Any) -> str:
    """What a chain does, as http:<routes> or tcp:<clusters>."""
    filter_config = chain.filters[-1].typed_config
    manager, tcp = hcm_pb2.HttpConnectionManager(), tcp_proxy_pb2.TcpProxy()
    if filter_config.Unpack(manager):
        return f"http:{manager.rds.route_config_name or manager.route_config.name}"
    assert filter_config.Unpack(tcp)
    return "tcp:" + (tcp.cluster or "+".join(entry.name for entry in tcp.weighted_clusters.clusters))


def manager_of(listener: Any) -> Any:
    manager = hcm_pb2.HttpConnectionManager()
    assert any(chain.filters[-1].typed_config.Unpack(manager) for chain in listener.filter_chains)
    return manager


def handlers(listener: Any) -> list[str]:
    chains = list(listener.filter_chains)
    if listener.HasField("default_filter_chain"):
        chains.append(listener.default_filter_chain)
    return [handler(chain) for chain in chains]


def cluster(name: str, port: int) -> str:
    return f"outbound|{port}||{name}.default.svc.cluster.local"


def entry(host: str, port: str, second: int = 0, addresses: str = "", resolution: str = "STATIC") -> str:
    """A service without an address unless one is stated."""
    return (
        "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\n"
        f"metadata: {{name: {host.replace('.', '-')}, creationTimestamp: '2026-01-01T00:00:{second:02d}Z'}}\n"
        f"spec: {{hosts: [{host}], addresses: [{addresses}], ports: [{port}], resolution: {resolution}}}\n"
    )


WEB = "{port: 80, name: http}"
HTTP, TCP = "{number: 80, name: http, protocol: HTTP}", "{number: 80, name: tcp, protocol: TCP}"
ODD, MYSQL = "{number: 80, name: odd}", "{number: 80, name: mysql, protocol: MYSQL}"
PASS = "tcp:PassthroughCluster"
OLD, NEW = "tcp:outbound|80||old.com", "tcp:outbound|80||new.com"
CONTESTED = [
    # older port, newer port, handlers of 0.0.0.0_80
    (HTTP, HTTP, ["http:80", PASS]),
    (HTTP, TCP, ["http:80", NEW]),
    (HTTP, ODD, ["http:80", NEW]),
    (TCP, HTTP, ["http:80", OLD]),
    (TCP, TCP, [OLD]),
    (TCP, ODD, ["http:80", OLD]),
    (ODD, HTTP, ["http:80", OLD]),
    (ODD, TCP, ["http:80", OLD]),
    (ODD, ODD, ["http:80", OLD]),
    (MYSQL, HTTP, [OLD]),
    (MYSQL, ODD, [OLD]),
    (MYSQL, TCP, [OLD]),
    (HTTP, MYSQL, ["http:80", PASS]),
    (ODD, MYSQL, ["http:80", OLD]),
    (TCP, MYSQL, [OLD]),
]


@pytest.mark.parametrize(("old", "new", "expected"), CONTESTED)
def test_two_services_on_one_port(world: Any, sidecar: Any, old: str, new: str, expected: list[str]) -> None:
    made = world(entry("new.com", new, 2), entry("old.com", old, 1))
    listener = made.listeners(sidecar())["0.0.0.0_80"]
    assert handlers(listener) == expected


def test_services_with_addresses(world: Any, sidecar: Any) -> None:
    made = world(
        service("db", "{port: 5432, name: tcp}", "10.96.0.1"),
        service("odd", "{port: 7000, name: odd}", "10.96.0.2"),
        entry("web.com", "{number: 443, name: https, protocol: HTTPS}"),
        service("dns", "{port: 53, name: dns, protocol: UDP}", "10.96.0.3"),
    )
    found = {name: handlers(listener) for name, listener in made.listeners(sidecar()).items()}
    assert found["10.96.0.1_5432"] == [f"tcp:{cluster('db', 5432)}"]
    assert found["10.96.0.2_7000"] == ["http:odd.default.svc.cluster.local:7000", f"tcp:{cluster('odd', 7000)}"]
    assert found["0.0.0.0_443"] == ["tcp:outbound|443||web.com", PASS]
    assert "10.96.0.3_53" not in found


def test_captured_listeners_have_no_socket(world: Any, sidecar: Any) -> None:
    found = world(service("web", WEB)).listeners(sidecar())
    assert list(found) == ["0.0.0.0_80", "virtualOutbound", "virtualInbound"]
    assert not found["0.0.0.0_80"].bind_to_port.value
    assert found["0.0.0.0_80"].HasField("bind_to_port")
    out = found["virtualOutbound"]
    assert out.use_original_dst.value
    assert [chain.name for chain in out.filter_chains] == ["virtualOutbound-blackhole", "virtualOutbound-catchall-tcp"]
    assert handlers(out) == ["tcp:BlackHoleCluster", PASS]
    refusing = world(service("web", WEB), settings=MeshConfig(outbound_traffic_policy="REGISTRY_ONLY"))
    assert handlers(refusing.listeners(sidecar())["virtualOutbound"])[1] == "tcp:BlackHoleCluster"


OWN = service("own", "{port: 80, name: http, targetPort: 8080}, {port: 81, name: odd, targetPort: 8081}, "
                     "{port: 82, name: tcp, targetPort: 8082}", selector="{app: own}")  # fmt: skip


STRANGERS = """
apiVersion: v1
kind: Service
metadata: {name: claim, namespace: elsewhere, creationTimestamp: '2020-01-01T00:00:00Z'}
spec: {ports: [{port: 80, name: tcp, targetPort: 8080}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: claim, namespace: elsewhere, labels: {kubernetes.io/service-name: claim}}
addressType: IPv4
endpoints: [{addresses: [10.0.0.9]}]
ports: [{name: tcp, port: 8080}]
"""


def test_who_writes_down_an_address_does_not_say_what_its_workload_speaks(world: Any, sidecar: Any) -> None:
    """As TCP, no policy about HTTP could judge it, and no token would be asked for."""
    listener = world(OWN, STRANGERS).listeners(sidecar(LABELS={"app": "own"}))["virtualInbound"]
    found = [
        handler(chain) for chain in listener.filter_chains if chain.filter_chain_match.destination_port.value == 8080
    ]
    assert found == ["http:inbound|8080||"]


def test_inbound_chains_by_protocol(world: Any, sidecar: Any) -> None:
    listener = world(OWN).listeners(sidecar(LABELS={"app": "own"}))["virtualInbound"]
    found = [
        (
            chain.filter_chain_match.destination_port.value,
            list(chain.filter_chain_match.application_protocols),
            handler(chain),
        )
        for chain in listener.filter_chains
    ]
    assert found == [
        (15006, [], "tcp:BlackHoleCluster"),
        (0, ["http/1.1", "h2c"], "http:InboundPassthroughCluster"),
        (0, [], "tcp:InboundPassthroughCluster"),
        (8080, [], "http:inbound|8080||"),
        (8081, ["http/1.1", "h2c"], "http:inbound|8081||"),
        (8081, [], "tcp:inbound|8081||"),
        (8082, [], "tcp:inbound|8082||"),
    ]
    assert {chain.filter_chain_match.transport_protocol for chain in listener.filter_chains} == {"", "raw_buffer"}
    assert not listener.HasField("default_filter_chain")
    inbound = world(OWN).clusters(sidecar(LABELS={"app": "own"}))["inbound|8080||"]
    assert inbound.type == inbound.ORIGINAL_DST
    assert inbound.upstream_bind_config.source_address.address == "127.0.0.6"


LOOPBACK = {
    "INTERCEPTION_MODE": "NONE", "BIND_ADDRESS": "127.1.0.3", "APP_ADDRESS": "127.2.0.3", "HTTP_PROXY_PORT": "15007",
    "LABELS": {"app": "own"},
}  # fmt: skip


def test_on_loopback(world: Any, sidecar: Any) -> None:
    made = world(OWN, service("other", "{port: 9080, name: http}"))
    proxy = sidecar(ip="127.1.0.3", **LOOPBACK)
    listeners = made.listeners(proxy)
    assert {name: handlers(listener)[0] for name, listener in listeners.items()} == {
        "127.1.0.3_15007": "http:http_proxy",
        "127.1.0.3_8080": "http:inbound|8080||",
        "127.1.0.3_8081": "http:inbound|8081||",
        "127.1.0.3_8082": "tcp:inbound|8082||",
    }
    for listener in listeners.values():
        assert listener.address.socket_address.address == "127.1.0.3"
        assert not listener.HasField("bind_to_port")
    inbound = made.clusters(proxy)["inbound|8080||"]
    (group,) = inbound.load_assignment.endpoints
    address = group.lb_endpoints[0].endpoint.address.socket_address
    assert (inbound.type, address.address, address.port_value) == (inbound.STATIC, "127.2.0.3", 8080)


def test_without_capture_listeners_bind_to_localhost(world: Any, sidecar: Any) -> None:
    made = world(
        OWN, service("other", "{port: 9080, name: http}"), service("db", "{port: 5432, name: tcp}", "10.9.9.9")
    )
    found = made.listeners(sidecar(INTERCEPTION_MODE="NONE", LABELS={"app": "own"}))
    assert {"127.0.0.1_9080", "127.0.0.1_5432"} <= set(found)
    assert not any(name.startswith("virtual") for name in found)
    assert handlers(found["127.0.0.1_9080"]) == ["http:9080"]
    assert not any("inbound" in line for listener in found.values() for line in handlers(listener))


SIDECAR = """
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: s}
spec:
  ingress:
  - {port: {number: 9080, protocol: HTTP, name: http}, defaultEndpoint: "127.0.0.1:8080", %s}
  - {port: {number: 9081, protocol: TCP, name: tcp}, defaultEndpoint: "unix:///tmp/app.sock"}
  egress:
  - {port: {number: 7000, protocol: HTTP, name: web}, bind: 127.0.0.7, captureMode: NONE, hosts: ["./*"]}
  - {hosts: ["./other.default.svc.cluster.local"]}
"""


def test_a_sidecar_resource_replaces_inbound_ports_and_adds_listeners(world: Any, sidecar: Any) -> None:
    made = world(
        OWN, SIDECAR % "bind: 0.0.0.0", service("other", "{port: 9080, name: http}, {port: 7000, name: http-b}")
    )
    listeners = made.listeners(sidecar(LABELS={"app": "own"}))
    ordinary = {"0.0.0.0_9080", "0.0.0.0_7000", "virtualOutbound", "virtualInbound"}
    assert set(listeners) == ordinary | {"127.0.0.7_7000"}
    assert handlers(listeners["127.0.0.7_7000"]) == ["http:7000"]
    assert not listeners["127.0.0.7_7000"].HasField("bind_to_port")
    ports = [chain.filter_chain_match.destination_port.value for chain in listeners["virtualInbound"].filter_chains]
    assert ports == [15006, 0, 0, 9080, 9081]
    names = [chain.name for chain in listeners["virtualInbound"].filter_chains]
    assert names[3:] == ["0.0.0.0_9080", "10.0.0.9_9081"]
    clusters = made.clusters(sidecar(LABELS={"app": "own"}))
    http, tcp = clusters["inbound|9080||"], clusters["inbound|9081||"]
    assert http.load_assignment.endpoints[0].lb_endpoints[0].endpoint.address.socket_address.port_value == 8080
    assert tcp.load_assignment.endpoints[0].lb_endpoints[0].endpoint.address.pipe.path == "/tmp/app.sock"


def test_without_capture_ingress_listeners_are_bound(world: Any, sidecar: Any) -> None:
    made = world(SIDECAR % "captureMode: NONE")
    listener = made.listeners(sidecar(INTERCEPTION_MODE="NONE"))["10.0.0.9_9080"]
    assert handlers(listener) == ["http:inbound|9080||"]


@pytest.mark.parametrize("told", [False, True])
def test_reasons_are_told_where_the_mesh_config_says_so(world: Any, sidecar: Any, told: bool) -> None:
    found = world(service("web", WEB), settings=MeshConfig(reason_header=told)).listeners(sidecar())
    config = manager_of(found["0.0.0.0_80"]).local_reply_config
    added = [each.header.key for mapper in config.mappers for each in mapper.headers_to_add]
    assert added == (["x-mesh-reason"] if told else [])


def test_http_manager_settings(world: Any, sidecar: Any) -> None:
    settings = MeshConfig(access_log_file="/dev/stdout", via_header=True)
    made = world(OWN, service("web", WEB), settings=settings)
    found = made.listeners(sidecar(LABELS={"app": "own"}, HTTP10="1", IDLE_TIMEOUT="30s"))
    outbound, inbound = manager_of(found["0.0.0.0_80"]), manager_of(found["virtualInbound"])
    assert (outbound.server_name, inbound.server_name) == ("", "istio-envoy")
    assert (outbound.via, inbound.via) == ("1.1 mizzen-outbound", "1.1 mizzen-inbound")
    assert outbound.stat_prefix == "outbound_0.0.0.0_80;"
    assert outbound.http_protocol_options.header_key_format.HasField("stateful_formatter")
    assert outbound.http_protocol_options.accept_http_10
    assert outbound.common_http_protocol_options.idle_timeout.seconds == 30
    assert not outbound.use_remote_address.value
    names = [entry.name.rpartition(".")[2] for entry in outbound.http_filters]
    assert names == ["fault", "cors", "router"]
    assert len(outbound.access_log) == 1
    assert len(found["virtualOutbound"].access_log) == 1
    assert not manager_of(world(service("web", WEB)).listeners(sidecar())["0.0.0.0_80"]).access_log


PATHS = [
    ("DEFAULT", (True, False, "KEEP_UNCHANGED")),
    ("NONE", (False, False, "KEEP_UNCHANGED")),
    ("BASE", (True, False, "KEEP_UNCHANGED")),
    ("MERGE_SLASHES", (True, True, "KEEP_UNCHANGED")),
    ("DECODE_AND_MERGE_SLASHES", (True, True, "UNESCAPE_AND_FORWARD")),
]


@pytest.mark.parametrize(("stated", "expected"), PATHS)
def test_paths_are_normalised_as_the_mesh_config_says(world: Any, sidecar: Any, stated: Any, expected: Any) -> None:
    made = world(service("web", WEB, "10.0.0.1"), settings=MeshConfig(path_normalization=stated))
    manager = manager_of(made.listeners(sidecar())["0.0.0.0_80"])
    action = hcm_pb2.HttpConnectionManager.PathWithEscapedSlashesAction.Name(manager.path_with_escaped_slashes_action)
    assert (manager.normalize_path.value, manager.merge_slashes, action) == expected


def test_tls_and_tcp_routes(world: Any, sidecar: Any) -> None:
    routes = """
        apiVersion: networking.istio.io/v1
        kind: VirtualService
        metadata: {name: l4}
        spec:
          hosts: [web, db]
          tls:
          - match: [{port: 443, sniHosts: [web]}]
            route:
            - {destination: {host: web, port: {number: 443}}, weight: 70}
            - {destination: {host: db, port: {number: 5432}}, weight: 30}
          tcp:
          - match: [{port: 5432, destinationSubnets: [10.0.0.0/8]}]
            route: [{destination: {host: db, subset: a}}]
          - match: [{port: 5432, sourceLabels: {app: other}}]
            route: [{destination: {host: db, subset: never}}]
          - match: [{port: 5432}]
            route: [{destination: {host: db, subset: b}}]
    """
    made = world(
        routes,
        service("web", "{port: 443, name: https}", "10.96.0.1"),
        service("db", "{port: 5432, name: tcp}", "10.96.0.2"),
    )
    found = made.listeners(sidecar())
    assert handlers(found["10.96.0.1_443"]) == [f"tcp:{cluster('web', 443)}+{cluster('db', 5432)}", PASS]
    (tls_chain,) = found["10.96.0.1_443"].filter_chains
    assert list(tls_chain.filter_chain_match.server_names) == ["web"]
    host = "db.default.svc.cluster.local"
    assert handlers(found["10.96.0.2_5432"]) == [f"tcp:outbound|5432|a|{host}", f"tcp:outbound|5432|b|{host}"]
    origin = tls_chain.metadata.filter_metadata["istio"]["config"]
    assert origin == "/apis/networking.istio.io/v1/namespaces/default/virtual-service/l4"


def test_a_rule_governs_connections(world: Any, sidecar: Any) -> None:
    rule = """
        apiVersion: networking.istio.io/v1
        kind: DestinationRule
        metadata: {name: db}
        spec:
          host: db
          trafficPolicy:
            loadBalancer: {consistentHash: {useSourceIp: true}}
            connectionPool: {tcp: {idleTimeout: 7s, maxConnectionDuration: 9s}}
          subsets: [{name: b, trafficPolicy: {loadBalancer: {simple: RANDOM}}}]
    """
    routes = """
        apiVersion: networking.istio.io/v1
        kind: VirtualService
        metadata: {name: l4}
        spec:
          hosts: [db]
          tcp:
          - {match: [{port: 5433}], route: [{destination: {host: db, subset: b}}]}
          - match: [{port: 5434}]
            route: [{destination: {host: db}, weight: 40}, {destination: {host: db, subset: b}, weight: 60}]
    """
    ports = ", ".join(f"{{port: {number}, name: tcp-{number}}}" for number in (5432, 5433, 5434))
    found = world(rule, routes, service("db", ports, "10.96.0.2")).listeners(sidecar(IDLE_TIMEOUT="30s"))
    for number, hashed in ((5432, True), (5433, False), (5434, True)):
        tcp = tcp_proxy_pb2.TcpProxy()
        assert found[f"10.96.0.2_{number}"].filter_chains[0].filters[0].typed_config.Unpack(tcp)
        assert (tcp.idle_timeout.seconds, tcp.max_downstream_connection_duration.seconds) == (7, 9)
        assert [policy.HasField("source_ip") for policy in tcp.hash_policy] == [True] * hashed
    plain = world(service("db", ports, "10.96.0.2")).listeners(sidecar(IDLE_TIMEOUT="30s"))["10.96.0.2_5432"]
    tcp = tcp_proxy_pb2.TcpProxy()
    assert plain.filter_chains[0].filters[0].typed_config.Unpack(tcp)
    assert (tcp.idle_timeout.seconds, tcp.HasField("max_downstream_connection_duration")) == (30, False)
