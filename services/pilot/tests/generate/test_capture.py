"""What sidecars get whose connections are captured: chains, inspectors, families of addresses, TPROXY, odd services."""

from typing import Any

import pytest
from envoy.extensions.filters.listener.original_src.v3 import original_src_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm_pb2
from envoy.extensions.filters.network.tcp_proxy.v3 import tcp_proxy_pb2
from envoy.extensions.upstreams.http.v3 import http_protocol_options_pb2

from mizzen.pilot.base.meshconfig import MeshConfig
from mizzen.pilot.generate import typeurls
from mizzen.pilot.generate.api import generate
from mizzen.pilot.generate.cache import Cache

PASS = "tcp:PassthroughCluster"
OWN = """
apiVersion: v1
kind: Service
metadata: {name: own}
spec:
  selector: {app: own}
  ports:
  - {port: 80, name: http, targetPort: 8080}
  - {port: 81, name: odd, targetPort: 8081}
  - {port: 82, name: mysql, targetPort: 8082}
  - {port: 83, name: grpc, targetPort: 8083}
"""


def handler(chain: Any) -> str:
    """What a chain does, as http:<routes> or tcp:<cluster>."""
    manager, tcp = hcm_pb2.HttpConnectionManager(), tcp_proxy_pb2.TcpProxy()
    if chain.filters[-1].typed_config.Unpack(manager):
        return f"http:{manager.rds.route_config_name or manager.route_config.name}"
    assert chain.filters[-1].typed_config.Unpack(tcp)
    return f"tcp:{tcp.cluster}"


def handlers(listener: Any) -> list[str]:
    chains = list(listener.filter_chains)
    if listener.HasField("default_filter_chain"):
        chains.append(listener.default_filter_chain)
    return [handler(chain) for chain in chains]


def addresses(listener: Any) -> list[str]:
    more = [other.address for other in listener.additional_addresses]
    return [address.socket_address.address for address in [listener.address, *more]]


def filters(listener: Any) -> list[str]:
    return [entry.name.rpartition(".")[2] for entry in listener.listener_filters]


def inbound_route(listener: Any, name: str) -> Any:
    manager = hcm_pb2.HttpConnectionManager()
    (chain,) = (chain for chain in listener.filter_chains if chain.name == name and "http" in handler(chain))
    assert chain.filters[-1].typed_config.Unpack(manager)
    return manager.route_config.virtual_hosts[0].routes[0]


def kubernetes(name: str, spec: str, *endpoints: str, port: str = "{port: 9000, name: tcp}") -> str:
    """A Service with one port, and what answers for it."""
    listed = ", ".join(f"{{addresses: [{address!r}]}}" for address in endpoints)
    return f"""
apiVersion: v1
kind: Service
metadata: {{name: {name}}}
spec: {{{spec}ports: [{port}]}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: {name}, labels: {{kubernetes.io/service-name: {name}}}}}
addressType: IPv4
ports: [{port}]
endpoints: [{listed}]
"""


def entry(host: str, spec: str) -> str:
    return f"""
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: {host.replace(".", "-")}}}
spec: {{hosts: [{host}], {spec}}}
"""


# -- inbound ---------------------------------------------------------------------------------------------------------


def test_first_bytes_are_looked_at_where_that_is_needed(world: Any, sidecar: Any) -> None:
    settings = MeshConfig(protocol_detection_timeout=5)
    listener = world(OWN, settings=settings).listeners(sidecar(LABELS={"app": "own"}))["virtualInbound"]
    assert filters(listener) == ["original_dst", "http_inspector"]
    rules = listener.listener_filters[1].filter_disabled.or_match.rules
    ranges = [(rule.destination_port_range.start, rule.destination_port_range.end) for rule in rules]
    # The odd port and undeclared ones need it; those that say what they speak do not, nor does the listener's own.
    assert ranges == [(8080, 8081), (8082, 8083), (8083, 8084), (15006, 15007)]
    assert (listener.listener_filters_timeout.seconds, listener.continue_on_listener_filters_timeout) == (5, True)


def test_no_declared_port_means_one_exception(world: Any, sidecar: Any) -> None:
    listener = world().listeners(sidecar())["virtualInbound"]
    assert listener.listener_filters[1].filter_disabled.destination_port_range.start == 15006
    assert handlers(listener) == [
        "tcp:BlackHoleCluster",
        "http:InboundPassthroughCluster",
        "tcp:InboundPassthroughCluster",
    ]


def test_requests_to_the_application(world: Any, sidecar: Any) -> None:
    listener = world(OWN).listeners(sidecar(LABELS={"app": "own"}, IDLE_TIMEOUT="30s"))["virtualInbound"]
    http = inbound_route(listener, "0.0.0.0_8080")
    assert http.decorator.operation == "own.default.svc.cluster.local:80/*"
    assert http.route.retry_policy.retry_on == "reset-before-request"
    assert not inbound_route(listener, "0.0.0.0_8083").route.HasField("retry_policy"), "gRPC is not sent twice"
    assert inbound_route(listener, "virtualInbound-catchall-http").decorator.operation == ":0/*"
    tcp = tcp_proxy_pb2.TcpProxy()
    (mysql,) = (chain for chain in listener.filter_chains if chain.name == "0.0.0.0_8082")
    assert mysql.filters[-1].typed_config.Unpack(tcp)
    assert (tcp.stat_prefix, tcp.idle_timeout.seconds) == ("inbound|8082||", 30)


INGRESS = """
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: s}
spec:
  ingress:
  - port: {number: 9080, protocol: HTTP, name: http}
    defaultEndpoint: "%s"
"""
ENDPOINTS = [
    # addresses of the node, defaultEndpoint, where the application is, source address
    ("10.0.0.9", "", "", "127.0.0.6"),
    ("10.0.0.9", "127.0.0.1:8080", "127.0.0.1", ""),
    ("10.0.0.9", "0.0.0.0:8080", "10.0.0.9", "127.0.0.6"),
    ("10.0.0.9", "[::1]:8080", "127.0.0.1", ""),
    ("10.0.0.9", "[::]:8080", "::1", "127.0.0.6"),
    ("10.0.0.9,fd00::9", "[::]:8080", "fd00::9", "127.0.0.6"),
    ("10.0.0.9,fd00::9", "[::1]:8080", "::1", ""),
    ("fd00::9", "127.0.0.1:8080", "::1", ""),
    ("fd00::9", "0.0.0.0:8080", "127.0.0.1", "::6"),
    ("fd00::9", "", "", "::6"),
    ("10.0.0.9", "unix:///tmp/app.sock", "/tmp/app.sock", ""),
]


@pytest.mark.parametrize(("ips", "stated", "address", "source"), ENDPOINTS)
def test_a_stated_ingress_port(world: Any, sidecar: Any, ips: str, stated: str, address: str, source: str) -> None:
    made, proxy = world(OWN, INGRESS % stated), sidecar(LABELS={"app": "own"}, INSTANCE_IPS=ips)
    cluster = made.clusters(proxy)["inbound|9080||"]
    assert cluster.upstream_bind_config.source_address.address == source
    assert cluster.type == (cluster.STATIC if address else cluster.ORIGINAL_DST)
    if address:
        (group,) = cluster.load_assignment.endpoints
        found = group.lb_endpoints[0].endpoint.address
        assert (found.socket_address.address or found.pipe.path) == address
    listener = made.listeners(proxy)["virtualInbound"]
    own = listener.filter_chains[-1]
    assert own.name == f"{ips.partition(',')[0]}_9080"
    assert own.metadata.filter_metadata["istio"]["config"].endswith("/sidecar/s")
    assert inbound_route(listener, own.name).decorator.operation == "s.default:9080/*"
    assert len(listener.filter_chains) == 4, "the ports of services are not added"


def test_an_ingress_port_that_is_not_captured_is_bound(world: Any, sidecar: Any) -> None:
    text = INGRESS.replace("defaultEndpoint", "captureMode: NONE\n    defaultEndpoint") % "127.0.0.1:8080"
    found = world(text).listeners(sidecar())
    assert list(found) == ["virtualOutbound", "virtualInbound", "10.0.0.9_9080"]
    assert not found["10.0.0.9_9080"].HasField("bind_to_port")
    assert len(found["virtualInbound"].filter_chains) == 3


def test_inbound_clusters_keep_their_connections(world: Any, sidecar: Any) -> None:
    cluster = world(OWN).clusters(sidecar(LABELS={"app": "own"}))["inbound|8081||"]
    assert (cluster.type, cluster.lb_policy) == (cluster.ORIGINAL_DST, cluster.CLUSTER_PROVIDED)
    assert cluster.cleanup_interval.seconds == 9223372035


RULE = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: own}
spec:
  host: own
  workloadSelector: {matchLabels: %s}
  trafficPolicy:
    connectionPool: {tcp: {maxConnections: 7}, http: {h2UpgradePolicy: UPGRADE}}
    portLevelSettings: [{port: {number: 81}, connectionPool: {tcp: {maxConnections: 8}}}]
"""
SIDECAR = """
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: s}
spec: {%s, egress: [{hosts: [%s]}]}
"""
UNLIMITED = 2**32 - 1
LIMITS = [
    # what else is declared, limit of each port
    ((RULE % "{}",), (7, 8)),
    ((RULE % "{app: own}",), (UNLIMITED, UNLIMITED)),  # it is for some clients
    ((RULE % "{}", SIDECAR % ("inboundConnectionPool: {tcp: {maxConnections: 9}}", '"./*"')), (9, 9)),
    ((RULE % "{}", SIDECAR % ("ingress: []", "other/*")), (UNLIMITED, UNLIMITED)),  # the proxy does not see it
]


@pytest.mark.parametrize(("texts", "limits"), LIMITS)
def test_the_application_is_held_to_what_its_clients_are(
    world: Any, sidecar: Any, texts: tuple[str, ...], limits: tuple[int, int]
) -> None:
    clusters = world(OWN, *texts).clusters(sidecar(LABELS={"app": "own"}))
    found = [clusters[f"inbound|{port}||"] for port in (8080, 8081)]
    assert tuple(cluster.circuit_breakers.thresholds[0].max_connections.value for cluster in found) == limits
    options = http_protocol_options_pb2.HttpProtocolOptions()
    assert next(iter(found[0].typed_extension_protocol_options.values())).Unpack(options)
    assert not options.explicit_http_config.HasField("http2_protocol_options"), "only clients upgrade"


# -- families of addresses, TPROXY -----------------------------------------------------------------------------------

FAMILIES = [
    # addresses of the node, wildcards, local hosts, source addresses
    ("10.0.0.9", ["0.0.0.0"], ["127.0.0.1"], ["127.0.0.6"]),
    ("fd00::9", ["::"], ["::1"], ["::6"]),
    ("fd00::9,10.0.0.9", ["0.0.0.0", "::"], ["127.0.0.1", "::1"], ["127.0.0.6", "::6"]),
]


@pytest.mark.parametrize(("ips", "wildcards", "local", "sources"), FAMILIES)
def test_families(
    world: Any, sidecar: Any, ips: str, wildcards: list[str], local: list[str], sources: list[str]
) -> None:
    texts = [OWN, entry("web.com", "ports: [{number: 9080, name: http, protocol: HTTP}], resolution: DNS")]
    made, proxy = world(*texts), sidecar(LABELS={"app": "own"}, INSTANCE_IPS=ips, HTTP_PROXY_PORT="15007")
    listeners = made.listeners(proxy)
    for name in (f"{wildcards[0]}_9080", "virtualOutbound", "virtualInbound"):
        assert addresses(listeners[name]) == wildcards
    assert addresses(listeners[f"{local[0]}_15007"]) == local
    assert f"{wildcards[0]}_8080" in [chain.name for chain in listeners["virtualInbound"].filter_chains]
    clusters = made.clusters(proxy)
    for name in ("inbound|8080||", "InboundPassthroughCluster"):
        bind = clusters[name].upstream_bind_config
        assert [bind.source_address.address, *(e.address.address for e in bind.extra_source_addresses)] == sources
    assert not clusters["PassthroughCluster"].HasField("upstream_bind_config")
    dns = clusters["outbound|9080||web.com"]
    families = {1: dns.V6_ONLY if ":" in ips else dns.V4_ONLY, 2: dns.ALL}
    assert dns.dns_lookup_family == families[len(sources)]


def test_a_service_is_at_its_addresses_of_the_proxys_families(world: Any, sidecar: Any) -> None:
    text = kubernetes("db", "clusterIP: 10.96.0.1, clusterIPs: [10.96.0.1, 'fd01::1'], ")
    made = world(text)
    assert addresses(made.listeners(sidecar())["10.96.0.1_9000"]) == ["10.96.0.1"]
    assert addresses(made.listeners(sidecar(INSTANCE_IPS="fd00::9"))["fd01::1_9000"]) == ["fd01::1"]
    both = made.listeners(sidecar(INSTANCE_IPS="10.0.0.9,fd00::9"))["10.96.0.1_9000"]
    assert addresses(both) == ["10.96.0.1", "fd01::1"]


def test_tproxy_keeps_the_clients_address(world: Any, sidecar: Any) -> None:
    made = world(OWN)
    ordinary = made.listeners(sidecar(LABELS={"app": "own"}))
    found = made.listeners(sidecar(LABELS={"app": "own"}, INTERCEPTION_MODE="TPROXY"))
    assert found["virtualOutbound"].transparent.value
    assert found["virtualInbound"].transparent.value
    assert filters(found["virtualInbound"]) == ["original_dst", "original_src", "http_inspector"]
    source = original_src_pb2.OriginalSrc()
    assert found["virtualInbound"].listener_filters[1].typed_config.Unpack(source)
    assert source.mark == 1337
    assert not found["0.0.0.0_80"].HasField("transparent")
    assert not ordinary["virtualInbound"].HasField("transparent")
    assert filters(ordinary["virtualInbound"]) == ["original_dst", "http_inspector"]


# -- outbound --------------------------------------------------------------------------------------------------------


def test_an_unnamed_port_of_a_service_with_an_address(world: Any, sidecar: Any) -> None:
    settings = MeshConfig(protocol_detection_timeout=5)
    text = kubernetes("odd", "clusterIP: 10.96.0.1, ", port="{port: 7000, name: odd}")
    made = world(text, settings=settings)
    listener = made.listeners(sidecar())["10.96.0.1_7000"]
    host = "odd.default.svc.cluster.local"
    assert handlers(listener) == [f"http:{host}:7000", f"tcp:outbound|7000||{host}"]
    match = listener.filter_chains[0].filter_chain_match
    assert (list(match.application_protocols), match.transport_protocol) == (["http/1.1", "h2c"], "raw_buffer")
    assert filters(listener) == ["http_inspector"]
    assert listener.listener_filters_timeout.seconds == 5
    assert not listener.HasField("max_connections_to_accept_per_socket_event"), "it has no socket"
    (only,) = made.routes(sidecar(), f"{host}:7000")[f"{host}:7000"].virtual_hosts
    assert (list(only.domains), only.routes[0].route.cluster) == (["*"], f"outbound|7000||{host}")
    older = made.listeners(sidecar(HTTP10="true"))["10.96.0.1_7000"].filter_chains[0].filter_chain_match
    assert list(older.application_protocols) == ["http/1.0", "http/1.1", "h2c"]


@pytest.mark.parametrize("number", [25, 53, 3306, 27017])
def test_nothing_is_looked_at_where_servers_are_known_to_speak_first(world: Any, sidecar: Any, number: int) -> None:
    text = kubernetes("db", "clusterIP: 10.96.0.1, ", port=f"{{port: {number}, name: db}}")
    listener = world(text).listeners(sidecar())[f"10.96.0.1_{number}"]
    assert handlers(listener) == [f"tcp:outbound|{number}||db.default.svc.cluster.local"]
    assert not listener.listener_filters


PLATFORMS = [
    # spec of a Service, the type of its cluster
    ("clusterIP: None, ", "ORIGINAL_DST"),
    ("", "EDS"),  # a platform without virtual addresses
]


@pytest.mark.parametrize(("spec", "kind"), PLATFORMS)
def test_a_service_that_is_called_at_its_endpoints(world: Any, sidecar: Any, spec: str, kind: str) -> None:
    made = world(
        kubernetes("db", spec, "10.0.0.5", "10.0.0.6", "10.0.0.9"),
        kubernetes("web", spec, "10.0.0.7", port="{port: 9443, name: https}"),
        kubernetes("none", spec, port="{port: 9001, name: tcp}"),
        kubernetes("site", spec, "10.0.0.8", port="{port: 80, name: http}"),
    )
    found = made.listeners(sidecar(ip="10.0.0.9"))
    assert set(found) == {
        *("10.0.0.5_9000", "10.0.0.6_9000", "10.0.0.7_9443", "0.0.0.0_80", "virtualOutbound", "virtualInbound")
    }
    cluster = "outbound|9000||db.default.svc.cluster.local"
    assert handlers(found["10.0.0.6_9000"]) == [f"tcp:{cluster}"]
    assert not found["10.0.0.7_9443"].filter_chains[0].filter_chain_match.server_names, "the address says enough"
    message = made.clusters(sidecar())[cluster]
    assert message.type == message.DiscoveryType.Value(kind)


def test_an_endpoint_of_an_entry_without_resolution(world: Any, sidecar: Any) -> None:
    port = "ports: [{number: 9000, name: tcp, protocol: TCP, targetPort: 9100}], resolution: NONE"
    machine = """
        apiVersion: networking.istio.io/v1
        kind: WorkloadEntry
        metadata: {name: machine, labels: {app: one}}
        spec: {address: 10.7.7.7}
    """
    made = world(entry("one.com", port + ", workloadSelector: {labels: {app: one}}"), machine)
    assert handlers(made.listeners(sidecar())["10.7.7.7_9000"]) == ["tcp:outbound|9000||one.com"]
    assert (
        made.clusters(sidecar())["outbound|9000||one.com"].original_dst_lb_config.upstream_port_override.value == 9100
    )
    assert "0.0.0.0_9000" in world(entry("any.com", port)).listeners(sidecar())


def test_ranges_share_the_wildcard_beside_single_addresses(world: Any, sidecar: Any) -> None:
    port = "ports: [{number: 9000, name: tcp, protocol: TCP}], resolution: NONE"
    made = world(
        entry("one.com", f"addresses: [10.1.0.0/16, 10.2.0.1/32, 10.3.0.0/16], {port}"),
        entry("two.com", f"addresses: [10.1.9.9/16, 10.4.0.0/16], {port}"),
    )
    found = made.listeners(sidecar())
    assert handlers(found["10.2.0.1_9000"]) == ["tcp:outbound|9000||one.com"]
    shared = found["0.0.0.0_9000"]
    ranges = [chain.filter_chain_match.prefix_ranges[0].address_prefix for chain in shared.filter_chains]
    assert ranges == ["10.1.0.0", "10.3.0.0", "10.4.0.0"], "one range belongs to the older service alone"
    assert handlers(shared) == ["tcp:outbound|9000||one.com"] * 2 + ["tcp:outbound|9000||two.com", PASS]
    assert shared.default_filter_chain.name == "PassthroughFilterChain"


def test_tls_services_without_addresses_are_told_by_name(world: Any, sidecar: Any) -> None:
    port = "ports: [{number: 443, name: tls, protocol: TLS}], resolution: DNS"
    ranged = entry("c.com", "addresses: [10.1.0.0/16], " + port.replace("DNS", "NONE"))
    listener = world(entry("a.com", port), entry("b.com", port), ranged).listeners(sidecar())["0.0.0.0_443"]
    matches = [chain.filter_chain_match for chain in listener.filter_chains]
    assert [list(match.server_names) for match in matches] == [["a.com"], ["b.com"], ["c.com"]]
    assert [len(match.prefix_ranges) for match in matches] == [0, 0, 1]
    assert filters(listener) == ["tls_inspector"]
    assert handler(listener.default_filter_chain) == PASS


ROUTES = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: %s}
spec:
  hosts: [db, web, x.com, y.com]
  tls: [{match: [{port: 443, sniHosts: %s}], route: [{destination: {host: %s}}]}]
  tcp: [{match: [{port: 9000, destinationSubnets: %s}], route: [{destination: {host: %s}}]}]
"""


def test_routes_of_several_virtual_services_add_up(world: Any, sidecar: Any) -> None:
    made = world(
        kubernetes("db", "clusterIP: 10.96.0.1, "),
        kubernetes("web", "clusterIP: 10.96.0.2, ", port="{port: 443, name: tls}"),
        ROUTES % ("a", "[x.com]", "x.com", "[10.0.0.0/8, 11.0.0.0/8]", "a.com"),
        ROUTES % ("b", "[y.com, web]", "y.com", "[10.9.9.9/8, 12.0.0.0/8]", "b.com"),
    )
    found = made.listeners(sidecar())
    tcp = found["10.96.0.1_9000"]
    ranges = [chain.filter_chain_match.prefix_ranges[0].address_prefix for chain in tcp.filter_chains]
    assert ranges == ["10.0.0.0", "11.0.0.0", "12.0.0.0"]
    rest = "tcp:outbound|9000||db.default.svc.cluster.local"
    assert [entry.split("||")[1] for entry in handlers(tcp)[:-1]] == ["a.com", "a.com", "b.com"]
    assert handlers(tcp)[-1] == rest
    tls = found["10.96.0.2_443"]
    assert handlers(tls) == ["tcp:outbound|443||x.com", "tcp:outbound|443||y.com", PASS]
    assert list(tls.filter_chains[1].filter_chain_match.server_names) == ["web", "y.com"]


EGRESS = """
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: s}
spec:
  egress:
  - {port: {number: 9000, protocol: TCP, name: tcp}, hosts: ["./db.default.svc.cluster.local"]}
  - {port: {number: 9080, protocol: HTTP, name: http}, hosts: ["./web.default.svc.cluster.local"]}
  - {port: {number: 9090, protocol: HTTP, name: bound}, bind: 127.0.0.7, hosts: ["./bound.default.svc.cluster.local"]}
  - {port: {number: 0, protocol: HTTP, name: pipe}, bind: "unix:///tmp/out.sock", hosts: ["./*"]}
  - {port: {number: 9999, protocol: HTTP, name: void}, hosts: ["./nobody.default.svc.cluster.local"]}
  - {hosts: ["./*"], captureMode: %s}
"""


def test_egress_listeners(world: Any, sidecar: Any) -> None:
    services = [
        kubernetes("db", "clusterIP: 10.96.0.1, "),
        kubernetes("other", "clusterIP: 10.96.0.2, "),
        kubernetes("web", "clusterIP: 10.96.0.3, ", port="{port: 9080, name: http}"),
        kubernetes("late", "clusterIP: 10.96.0.4, ", port="{port: 9080, name: http}"),
        kubernetes("bound", "clusterIP: 10.96.0.5, ", port="{port: 9090, name: http}"),
        kubernetes("loose", "clusterIP: 10.96.0.6, ", port="{port: 9091, name: http}"),
    ]
    found = world(EGRESS % "DEFAULT", *services).listeners(sidecar())
    assert set(found) == {
        *("10.96.0.1_9000", "10.96.0.2_9000", "0.0.0.0_9080", "127.0.0.7_9090", "0.0.0.0_9090", "0.0.0.0_9091"),
        *("unix:///tmp/out.sock_0", "virtualOutbound", "virtualInbound"),
    }
    plain = found["127.0.0.7_9090"]
    assert (handlers(plain), filters(plain), plain.bind_to_port.value) == (["http:9090"], [], False)
    assert handlers(found["0.0.0.0_9080"]) == ["http:9080", PASS]
    assert found["unix:///tmp/out.sock_0"].address.pipe.path == "/tmp/out.sock"
    assert not found["unix:///tmp/out.sock_0"].HasField("bind_to_port")
    uncaptured = world(EGRESS % "NONE", *services).listeners(sidecar())
    assert {"127.0.0.1_9000", "127.0.0.1_9080", "127.0.0.1_9091"} <= set(uncaptured)
    assert not uncaptured["127.0.0.1_9091"].HasField("bind_to_port")


def test_ports_of_the_proxy_itself_are_left_alone(world: Any, sidecar: Any) -> None:
    ports = ", ".join(f"{{port: {number}, name: http-{number}}}" for number in (80, 15001, 15006, 15021, 15090))
    text = f"""
        apiVersion: v1
        kind: Service
        metadata: {{name: odd}}
        spec: {{selector: {{app: own}}, ports: [{ports}]}}
    """
    proxy = sidecar(LABELS={"app": "own"})
    made = generate(typeurls.LISTENER, proxy, world(text).mesh, None, cache=Cache())
    assert list(made.resources) == ["0.0.0.0_80", "virtualOutbound", "virtualInbound"]
    assert set(made.failures) == {f"0.0.0.0_{number}" for number in (15001, 15006, 15021, 15090)}
    assert "Service default/odd" in made.failures["0.0.0.0_15021"]
    # Where the proxy says that it answers elsewhere, that counts.
    moved = sidecar(LABELS={"app": "own"}, ENVOY_STATUS_PORT="80", ENVOY_PROMETHEUS_PORT="15090")
    made = generate(typeurls.LISTENER, moved, world(text).mesh, None, cache=Cache())
    assert set(made.failures) == {f"0.0.0.0_{number}" for number in (80, 15001, 15006, 15090)}


def test_an_external_name_takes_no_port_from_others(world: Any, sidecar: Any) -> None:
    text = """
        apiVersion: v1
        kind: Service
        metadata: {name: away}
        spec:
          type: ExternalName
          externalName: db.example.com
          ports: [{port: 5432, name: tcp}, {port: 80, name: http}]
    """
    assert list(world(text).listeners(sidecar())) == ["0.0.0.0_80", "virtualOutbound", "virtualInbound"]


@pytest.mark.parametrize(
    ("policy", "cluster", "host"),
    [("ALLOW_ANY", "PassthroughCluster", "allow_any"), ("REGISTRY_ONLY", "BlackHoleCluster", "block_all")],
)
def test_unknown_destinations(world: Any, sidecar: Any, policy: Any, cluster: str, host: str) -> None:
    text = entry("web.com", "ports: [{number: 80, name: http, protocol: HTTP}], resolution: DNS")
    made = world(text, settings=MeshConfig(outbound_traffic_policy=policy))
    found = made.listeners(sidecar())
    assert handlers(found["virtualOutbound"]) == ["tcp:BlackHoleCluster", f"tcp:{cluster}"]
    assert handlers(found["0.0.0.0_80"])[-1] == f"tcp:{cluster}"
    *_, last = made.routes(sidecar(), "80")["80"].virtual_hosts
    assert (last.name, list(last.domains), last.include_request_attempt_count) == (host, ["*"], True)
