"""Captured connections: handed off, looked at, taken by the right filter chain, and sent where they were going."""

from dataclasses import replace
from typing import Any

import pytest
from playbook import MemoryKernel, MemoryTransport, World, _take

from mizzen.proxy.codec.sniff import PREFACE
from mizzen.proxy.engine.arrival import Arrival
from mizzen.proxy.engine.chains import ChainTable
from mizzen.proxy.engine.ext_authz_plan import ExtAuthzPlan, GrpcCall
from mizzen.proxy.engine.jwt.plan import JwtPlan
from mizzen.proxy.engine.match_plan import PathMatch, RouteMatch
from mizzen.proxy.engine.mixer_plan import MixerPlan
from mizzen.proxy.engine.plan import (
    AccessLogPlan,
    ChainMatch,
    ChainPlan,
    ChoicePlan,
    ClusterPlan,
    DestinationPlan,
    EndpointPlan,
    EndpointSetPlan,
    Forward,
    HttpPlan,
    ListenerPlan,
    Plan,
    RefusePlan,
    RoutePlan,
    RouteTablePlan,
    SniffPlan,
    TcpPlan,
    VirtualHostPlan,
    WeightedCluster,
)

ANY4 = "0.0.0.0"
GET = b"GET / HTTP/1.1\r\nHost: reviews\r\n\r\n"
WEB = ((9080, 9081),)


def tcp(cluster: str) -> TcpPlan:
    return TcpPlan(cluster, (WeightedCluster(cluster),))


def http(cluster: str) -> HttpPlan:
    everything = RoutePlan("r", RouteMatch(PathMatch("prefix", "/")), Forward((WeightedCluster(cluster),)))
    return HttpPlan(cluster, RouteTablePlan("t", (VirtualHostPlan("v", ("*",), (everything,)),)))


def static(name: str, address: str) -> ClusterPlan:
    host, _, port = address.rpartition(":")
    endpoints = (EndpointPlan(host, int(port)),) if address else ()
    return ClusterPlan(name, "static", endpoint_set=EndpointSetPlan(name, endpoints))


OUTBOUND: tuple[Plan, ...] = (
    ListenerPlan(
        "virtualOutbound",
        ANY4,
        15001,
        "outbound",
        ChoicePlan(
            (
                ChainPlan("blackhole", ChainMatch(port=15001), tcp("BlackHoleCluster")),
                ChainPlan("catchall", ChainMatch(), tcp("PassthroughCluster")),
            )
        ),
        hands_off=True,
    ),
    ListenerPlan(
        "0.0.0.0_9080",
        ANY4,
        9080,
        "outbound",
        ChoicePlan(
            (
                ChainPlan(
                    "http",
                    ChainMatch(transport="raw_buffer", protocols=("http/1.0", "http/1.1", "h2c")),
                    http("reviews"),
                ),
            ),
            tcp("PassthroughCluster"),
        ),
        bound=False,
        sniff=SniffPlan(http=WEB, timeout=0.1, go_on=True),
    ),
    ListenerPlan("10.96.0.9_6379", "10.96.0.9", 6379, "outbound", tcp("redis"), bound=False),
    static("reviews", "10.0.0.1:9080"),
    static("redis", "10.0.0.2:6379"),
    static("BlackHoleCluster", ""),
    ClusterPlan("PassthroughCluster", "original_dst"),
)
INBOUND: tuple[Plan, ...] = (
    ListenerPlan(
        "virtualInbound",
        ANY4,
        15006,
        "inbound",
        ChoicePlan(
            (
                ChainPlan("blackhole", ChainMatch(port=15006), tcp("BlackHoleCluster")),
                ChainPlan(
                    "web",
                    ChainMatch(port=9080, transport="raw_buffer", protocols=("http/1.1", "h2c")),
                    http("inbound|9080||"),
                ),
                ChainPlan("web", ChainMatch(port=9080, transport="raw_buffer"), tcp("inbound|9080||")),
                ChainPlan("web", ChainMatch(port=9080, transport="tls"), RefusePlan("TLS is not supported yet")),
                ChainPlan("strict", ChainMatch(port=9081, transport="raw_buffer", protocols=("h2c",)), http("x")),
            )
        ),
        restores=True,
        sniff=SniffPlan(tls=WEB, http=((9080, 9082),), timeout=0.1, go_on=True),
    ),
    static("BlackHoleCluster", ""),
    ClusterPlan("inbound|9080||", "original_dst", sources=("127.0.0.6", "::6")),
)


def captured(destination: str, plans: tuple[Plan, ...] = OUTBOUND) -> tuple[World, MemoryTransport]:
    world = World(plans, MemoryKernel(destination, own=("10.9.9.9",)))
    return world, world.client()


def counters(world: World, listener: str) -> dict[str, int]:
    found = world.runtime.stats(1)
    cells = {**found.counters, **found.gauges}
    return {metric: n for (scope, name, metric), n in cells.items() if (scope, name) == ("listener", listener) and n}


# -- hand-off -------------------------------------------------------------------------------------------------------


def test_the_listener_of_the_destination_takes_the_connection() -> None:
    world, client = captured("10.96.0.9:6379")
    endpoint = world.accept("10.0.0.2:6379")
    client.receive(b"PING\r\n")
    assert _take(endpoint) == b"PING\r\n"
    assert counters(world, "10.96.0.9_6379") == {"downstream_cx_total": 1, "downstream_cx_active": 1}
    assert counters(world, "virtualOutbound") == {}


def test_the_wildcard_listener_of_the_port_takes_the_connection() -> None:
    world, client = captured("10.96.0.1:9080")
    client.receive(GET)
    assert _take(world.accept("10.0.0.1:9080")).startswith(b"GET / HTTP/1.1\r\n")


@pytest.mark.parametrize("destination", ["203.0.113.9:443", "[2001:db8::9]:443"])
def test_what_no_listener_is_for_goes_where_it_was_going(destination: str) -> None:
    world, client = captured(destination)
    endpoint = world.accept(destination)
    client.receive(b"hello")
    assert _take(endpoint) == b"hello"
    (tunnel,) = world.runtime.listeners["virtualOutbound"].connections
    assert tunnel.downstream_local_address == destination  # type: ignore[attr-defined]


@pytest.mark.parametrize("destination", ["", "10.9.9.9:15001"])
def test_a_connection_that_was_not_redirected_is_not_forwarded(destination: str) -> None:
    world, client = captured(destination)
    assert client.aborted
    assert not world.connector.attempts
    assert world.runtime.stats(1).counters["cluster", "BlackHoleCluster", "upstream_cx_none_healthy"] == 1


@pytest.mark.parametrize(("host", "connects"), [("10.9.9.9", False), ("10.9.9.8", True)])
def test_a_connection_to_the_capturing_port_itself_does_not_spin(host: str, connects: bool) -> None:
    """Without a blackhole chain, as Istio 1.0's Pilot sends it."""
    listener = ListenerPlan("virtual", ANY4, 15001, "outbound", tcp("PassthroughCluster"), hands_off=True)
    world, client = captured(f"{host}:15001", (listener, *OUTBOUND[3:]))
    assert bool(world.connector.attempts) is connects
    assert client.aborted is not connects


@pytest.mark.parametrize(
    ("kernel", "destination"),
    [("", "10.9.9.9:8080"), ("10.9.9.9:8080", "10.9.9.9:8080"), ("10.8.8.8:80", "10.8.8.8:80")],
)
def test_with_tproxy_the_sockets_own_name_is_the_destination(kernel: str, destination: str) -> None:
    """Unless it was redirected, as outbound connections are also then."""
    handler = tcp("PassthroughCluster")
    listener = ListenerPlan("in", "10.9.9.9", 8080, "inbound", handler, transparent=True, restores=True)
    world = World((listener, *OUTBOUND[3:]), MemoryKernel(kernel))
    world.client()
    world.accept(destination)


def test_a_handed_off_connection_stays_with_its_listener_when_the_other_goes() -> None:
    world, client = captured("10.96.0.9:6379")
    endpoint = world.accept("10.0.0.2:6379")
    world.apply(removed=(("listener", "virtualOutbound"),))
    client.receive(b"PING\r\n")
    assert _take(endpoint) == b"PING\r\n"


# -- first bytes ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", [1, 3, 1000])
def test_no_byte_is_lost_on_the_way_to_the_chain(step: int) -> None:
    world, client = captured("10.9.9.9:9080", INBOUND)
    for begin in range(0, len(GET), step):
        client.receive(GET[begin : begin + step])
    endpoint = world.accept("10.9.9.9:9080")
    assert _take(endpoint).startswith(b"GET / HTTP/1.1\r\nHost: reviews\r\n")


def test_bytes_that_are_not_http_go_to_the_tcp_chain_at_once() -> None:
    world, client = captured("10.9.9.9:9080", INBOUND)
    client.receive(b"*1\r\n")
    endpoint = world.accept("10.9.9.9:9080")
    assert _take(endpoint) == b"*1\r\n"
    client.receive(b"$4\r\n")
    assert _take(endpoint) == b"$4\r\n"


def test_where_the_server_speaks_first_it_is_heard_after_the_timeout() -> None:
    world, client = captured("10.9.9.9:9080", INBOUND)
    assert not world.connector.attempts
    world.loop.advance(0.15)
    endpoint = world.accept("10.9.9.9:9080")
    endpoint.receive(b"220 ready\r\n")
    assert _take(client) == b"220 ready\r\n"
    assert counters(world, "virtualInbound") == {
        "downstream_cx_total": 1,
        "downstream_cx_active": 1,
        "downstream_pre_cx_timeout": 1,
    }


def test_silence_without_a_limit_has_one() -> None:
    listener = INBOUND[0]
    assert isinstance(listener, ListenerPlan)
    plan = replace(listener, sniff=SniffPlan(http=WEB, timeout=0.0, go_on=True))
    world, _ = captured("10.9.9.9:9080", (plan, *INBOUND[1:]))
    world.loop.advance(3500.0)
    assert not world.connector.attempts
    world.loop.advance(101.0)
    world.accept("10.9.9.9:9080")


def test_where_the_timeout_ends_the_connection() -> None:
    listener = INBOUND[0]
    assert isinstance(listener, ListenerPlan)
    plan = replace(listener, sniff=SniffPlan(http=WEB, timeout=0.1))
    world, client = captured("10.9.9.9:9080", (plan, *INBOUND[1:]))
    world.loop.advance(0.15)
    assert client.closing
    assert counters(world, "virtualInbound") == {"downstream_pre_cx_timeout": 1}


def test_a_client_that_says_a_little_and_no_more_is_still_heard() -> None:
    world, client = captured("10.9.9.9:9080", INBOUND)
    client.receive(b"GE")
    client.end()
    endpoint = world.accept("10.9.9.9:9080")
    assert (_take(endpoint), endpoint.eof) == (b"GE", True)
    endpoint.receive(b"what?")
    assert _take(client) == b"what?"


@pytest.mark.parametrize("leave", ["end", "abort"])
def test_a_client_that_leaves_unheard(leave: str) -> None:
    world, client = captured("10.9.9.9:9080", INBOUND)
    getattr(client, leave)()
    world.loop.run()
    assert client.lost
    assert not world.connector.attempts
    assert counters(world, "virtualInbound") == {"downstream_listener_filter_remote_close": 1}
    assert world.runtime.listeners["virtualInbound"].connections == {}


def test_a_client_that_left_before_it_was_looked_at() -> None:
    world = World(INBOUND, MemoryKernel())
    listener = world.runtime.listeners["virtualInbound"]
    transport = MemoryTransport(world.loop, listener.protocol(), "192.0.2.7:5000", "10.9.9.9:15006")
    transport._extra["peername"] = None  # type: ignore[attr-defined]
    transport.protocol.connection_made(transport)
    world.loop.run()
    assert transport.lost
    assert listener.connections == {}
    assert counters(world, "virtualInbound") == {}


def test_a_drain_closes_what_said_nothing_and_hears_out_the_rest() -> None:
    world = World(INBOUND, MemoryKernel("10.9.9.9:9080"))
    silent, talking = world.client("silent"), world.client("talking")
    talking.receive(GET[:5])
    world.runtime.listeners["virtualInbound"].stop()
    world.loop.run()
    assert silent.lost
    talking.receive(GET[5:])
    world.accept("10.9.9.9:9080").receive(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    assert b"connection: close" in _take(talking).lower()


def test_who_a_drain_closes_did_not_leave() -> None:
    world, client = captured("10.9.9.9:9080", INBOUND)
    world.runtime.listeners["virtualInbound"].stop()
    world.loop.run()
    assert client.lost
    assert world.runtime.listeners["virtualInbound"].connections == {}
    assert counters(world, "virtualInbound") == {}


def test_what_a_drain_cuts_is_counted_once_and_looked_at_no_more() -> None:
    world, client = captured("10.9.9.9:9080", INBOUND)
    client.receive(GET[:5])
    world.runtime.listeners["virtualInbound"].abort()
    world.loop.run()
    world.loop.advance(1.0)
    assert client.aborted
    assert not world.connector.attempts
    assert counters(world, "virtualInbound") == {}


def test_a_plan_that_looks_no_more_ends_nobody_who_was_looked_at() -> None:
    world, client = captured("10.9.9.9:9080", INBOUND)
    client.receive(GET[:5])
    listener = world.runtime.listeners["virtualInbound"]
    world.apply(replace(listener.plan, sniff=None))
    world.loop.advance(1.0)
    assert not client.closing
    assert _take(world.accept("10.9.9.9:9080")) == GET[:5]


# -- refusals -------------------------------------------------------------------------------------------------------


def test_a_connection_that_no_chain_takes(caplog: pytest.LogCaptureFixture) -> None:
    world, client = captured("10.9.9.9:1234", INBOUND)
    assert client.closing
    assert counters(world, "virtualInbound") == {"no_filter_chain_match": 1}
    (line,) = [record.getMessage() for record in caplog.records]
    assert "192.0.2.7:5000 to 10.9.9.9:1234" in line
    assert "destination port 1234: chains have 15006, 9080, 9081" in line
    world.client("again")
    assert len(caplog.records) == 1, "told once in a while, counted always"
    assert counters(world, "virtualInbound") == {"no_filter_chain_match": 2}


def test_what_a_client_says_by_alpn_forges_no_line_of_the_log() -> None:
    arrival = Arrival(("192.0.2.7", 5000), ("10.9.9.9", 7777))
    arrival.transport = "tls"
    arrival.protocols = ("h2\nERROR all is lost", *(f"name-{n}" for n in range(5000)))
    table = ChainTable([(ChainMatch(protocols=("http/1.1",)), "web")])
    words = "; ".join([arrival.in_words(), *table.explain(arrival)])
    assert "\n" not in words
    assert "h2\\nERROR all is lost" in words
    assert len(words) < 1000


def test_only_refused_connections_are_in_the_listeners_access_log() -> None:
    listener = INBOUND[0]
    assert isinstance(listener, ListenerPlan)
    line = "%DOWNSTREAM_REMOTE_ADDRESS% %DOWNSTREAM_LOCAL_ADDRESS% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS%"
    plan = replace(listener, access_logs=(AccessLogPlan("/dev/null", line),))
    world, _ = captured("10.9.9.9:1234", (plan, *INBOUND[1:]))
    assert isinstance(world.runtime.kernel, MemoryKernel)
    world.runtime.kernel.destination = "10.9.9.9:9080"
    world.client("silent").end()
    (log,) = world.runtime.listeners["virtualInbound"].logs
    assert log.drain() == b"192.0.2.7:5000 10.9.9.9:1234 NR filter_chain_not_found"


def test_a_chain_for_tls_takes_its_connections_and_refuses_them() -> None:
    from ssl import PROTOCOL_TLS_CLIENT, MemoryBIO, SSLContext, SSLWantReadError

    out = MemoryBIO()
    with pytest.raises(SSLWantReadError):
        SSLContext(PROTOCOL_TLS_CLIENT).wrap_bio(MemoryBIO(), out, server_hostname="a").do_handshake()
    world, client = captured("10.9.9.9:9080", INBOUND)
    client.receive(out.read())
    assert client.closing
    assert counters(world, "virtualInbound") == {"tls_refused": 1}


def test_http2_goes_where_the_configuration_carries_bytes() -> None:
    world, client = captured("10.9.9.9:9080", INBOUND)
    client.receive(PREFACE)
    assert _take(world.accept("10.9.9.9:9080")) == PREFACE


def test_http2_that_only_an_http_chain_takes_is_refused_in_its_own_words() -> None:
    world, client = captured("10.9.9.9:9081", INBOUND)
    client.receive(PREFACE)
    assert b"HTTP/2" in _take(client)
    assert client.closing
    assert counters(world, "virtualInbound") == {"http2_refused": 1}


GUARDED: tuple[dict[str, Any], ...] = (
    {"mixer": MixerPlan()},
    {"guards": (JwtPlan((), ()),)},
    {"guards": (ExtAuthzPlan(GrpcCall("a", 1.0)),)},
)


def guarding(**guarded: Any) -> ListenerPlan:
    """The inbound listener, which looks at requests now."""
    listener = INBOUND[0]
    assert isinstance(listener, ListenerPlan)
    assert isinstance(listener.handler, ChoicePlan)
    chains = tuple(
        replace(chain, handler=replace(chain.handler, **guarded)) if isinstance(chain.handler, HttpPlan) else chain
        for chain in listener.handler.chains
    )
    return replace(listener, handler=replace(listener.handler, chains=chains))


@pytest.mark.parametrize("guarded", GUARDED)
def test_http2_does_not_get_past_guards_as_bytes(guarded: dict[str, Any]) -> None:
    world, client = captured("10.9.9.9:9080", (guarding(**guarded), *INBOUND[1:]))
    client.receive(PREFACE)
    assert client.closing
    assert not world.connector.attempts


@pytest.mark.parametrize("guarded", GUARDED)
def test_http2_does_not_go_on_past_guards_that_come_later(guarded: dict[str, Any]) -> None:
    world, client = captured("10.9.9.9:9080", INBOUND)
    client.receive(PREFACE)
    world.accept("10.9.9.9:9080")
    world.apply(INBOUND[0])
    assert not client.closing
    world.apply(guarding(**guarded))
    assert client.closing


@pytest.mark.parametrize("guarded", GUARDED)
def test_bytes_that_are_no_http_go_on_whatever_requests_are_asked(guarded: dict[str, Any]) -> None:
    world, client = captured("10.9.9.9:9080", INBOUND)
    client.receive(b"\x00\x01 not http at all")
    world.accept("10.9.9.9:9080")
    world.apply(guarding(**guarded))
    assert not client.closing


# -- back to the original destination -------------------------------------------------------------------------------


@pytest.mark.parametrize(("destination", "source"), [("10.9.9.9:9080", "127.0.0.6"), ("[fd00::9]:9080", "::6")])
def test_the_application_is_called_from_the_address_that_is_not_captured(destination: str, source: str) -> None:
    world, client = captured(destination, INBOUND)
    client.receive(GET)
    (attempt,) = world.connector.attempts
    assert (attempt.address, attempt.source) == (destination, source)
    assert _take(world.accept(destination)).startswith(b"GET / HTTP/1.1")


def test_requests_share_the_connections_of_their_destination_only() -> None:
    world, client = captured("10.9.9.9:9080", INBOUND)
    client.receive(GET)
    world.accept("10.9.9.9:9080").receive(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    world.client("same").receive(GET)
    assert not world.connector.attempts
    assert isinstance(world.runtime.kernel, MemoryKernel)
    world.runtime.kernel.destination = "10.9.9.10:9080"
    world.client("other").receive(GET)
    world.accept("10.9.9.10:9080")


def test_destinations_that_nobody_uses_are_forgotten() -> None:
    world, client = captured("203.0.113.9:443")
    endpoint = world.accept("203.0.113.9:443")
    endpoints = world.runtime.clusters["PassthroughCluster"].state.endpoints
    world.loop.advance(20.0)
    assert list(endpoints) == ["203.0.113.9:443"], "in use"
    endpoint.end()
    client.end()
    world.loop.advance(20.0)
    assert not endpoints
    gauge = world.runtime.stats(1).gauges["cluster", "PassthroughCluster", "membership_total"]
    assert gauge == 0
    world.client("later")
    world.accept("203.0.113.9:443")


def test_a_new_plan_leaves_the_destinations_alone() -> None:
    world, client = captured("203.0.113.9:443")
    endpoint = world.accept("203.0.113.9:443")
    world.apply(ClusterPlan("PassthroughCluster", "original_dst", connect_timeout=1.0))
    client.receive(b"x")
    assert _take(endpoint) == b"x"
    assert list(world.runtime.clusters["PassthroughCluster"].state.endpoints) == ["203.0.113.9:443"]


def test_another_port_than_the_clients() -> None:
    world, _ = captured(
        "203.0.113.9:443",
        (*OUTBOUND[:-1], ClusterPlan("PassthroughCluster", "original_dst", destination=DestinationPlan(port=8443))),
    )
    world.accept("203.0.113.9:8443")


@pytest.mark.parametrize(
    ("header", "address"),
    [("10.3.3.3:80", "10.3.3.3:80"), ("[fd00::3]:80", "[fd00::3]:80"), ("reviews", ""), ("reviews:80", "")],
)
def test_a_header_that_names_the_destination(header: str, address: str) -> None:
    cluster = ClusterPlan("inbound|9080||", "original_dst", destination=DestinationPlan("x-envoy-original-dst-host"))
    world, client = captured("10.9.9.9:9080", (*INBOUND[:2], cluster))
    client.receive(b"GET / HTTP/1.1\r\nHost: a\r\nX-Envoy-Original-Dst-Host: %s\r\n\r\n" % header.encode())
    if address:
        world.accept(address)
    else:
        assert _take(client).startswith(b"HTTP/1.1 503")


def test_a_destination_that_refuses() -> None:
    world, client = captured("10.9.9.9:9080", INBOUND)
    client.receive(GET)
    attempt = world.connector.attempts.popleft()
    attempt.failed("delayed connect error: Connection refused", timed_out=False)
    world.loop.run()
    assert _take(client).startswith(b"HTTP/1.1 503")


def test_a_chain_that_goes_lets_its_connections_end() -> None:
    world, client = captured("10.9.9.9:9080", INBOUND)
    client.receive(GET)
    listener = INBOUND[0]
    assert isinstance(listener, ListenerPlan)
    assert isinstance(listener.handler, ChoicePlan)
    world.apply(replace(listener, handler=replace(listener.handler, chains=listener.handler.chains[:1])))
    assert not client.closing
    world.accept("10.9.9.9:9080").receive(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    assert b"connection: close" in _take(client).lower()
    assert client.closing or client.eof


def test_blackholed_bytes_are_counted_as_istio_does() -> None:
    world, client = captured("10.9.9.9:15001")
    assert client.lost
    names = {name: n for (scope, name, metric), n in world.runtime.stats(1).counters.items() if scope == "istio" and n}
    assert [("BlackHoleCluster" in name, "UH" in name) for name in names] == [(True, True)]
