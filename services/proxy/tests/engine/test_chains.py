"""Filter chains: Envoy's order of precedence, against a plain restatement of its rules."""

from ipaddress import ip_address, ip_network
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mizzen.proxy.engine.arrival import Arrival
from mizzen.proxy.engine.chains import ChainTable
from mizzen.proxy.engine.plan import ChainMatch


def arrival(
    destination: str = "10.0.0.1",
    port: int = 80,
    source: tuple[str, int] = ("10.0.0.7", 4711),
    server_name: str = "",
    transport: str = "raw_buffer",
    protocols: tuple[str, ...] = (),
) -> Arrival:
    made = Arrival(source, (destination, port))
    made.server_name, made.transport, made.protocols = server_name, transport, protocols
    return made


def find(chains: dict[str, ChainMatch], connection: Arrival) -> str | None:
    return ChainTable((match, name) for name, match in chains.items()).find(connection)


INBOUND = {
    "blackhole": ChainMatch(port=15006),
    "http": ChainMatch(port=9080, transport="raw_buffer", protocols=("http/1.1", "h2c")),
    "tcp": ChainMatch(port=9080, transport="raw_buffer"),
    "mtls": ChainMatch(port=9080, transport="tls", protocols=("istio-peer-exchange", "istio")),
    "tls": ChainMatch(port=9080, transport="tls"),
    "other-http": ChainMatch(transport="raw_buffer", protocols=("http/1.1",), destinations=("0.0.0.0/0",)),
    "other": ChainMatch(transport="raw_buffer", destinations=("0.0.0.0/0",)),
    "other6": ChainMatch(destinations=("::/0",)),
}


@pytest.mark.parametrize(
    ("connection", "chain"),
    [
        (arrival(port=15006), "blackhole"),
        (arrival(port=9080), "tcp"),
        (arrival(port=9080, protocols=("h2c",)), "http"),
        (arrival(port=9080, protocols=("http/1.0",)), "tcp"),
        (arrival(port=9080, transport="tls", protocols=("h2", "istio")), "mtls"),
        (arrival(port=9080, transport="tls", protocols=("h2",)), "tls"),
        (arrival(port=1), "other"),
        (arrival(port=1, protocols=("http/1.1",)), "other-http"),
        (arrival(port=1, transport="tls", server_name="a"), None),
        (arrival("2001:db8::1", port=1), "other6"),
    ],
)
def test_the_chains_of_an_inbound_listener(connection: Arrival, chain: str | None) -> None:
    assert find(INBOUND, connection) == chain


@pytest.mark.parametrize(
    ("chains", "connection", "chain"),
    [
        # A chain for the port hides those for any port, also where it then fails.
        ({"any": ChainMatch(), "port": ChainMatch(port=80, transport="tls")}, arrival(), None),
        # The same holds for every level: a chain for plaintext hides chains for any transport.
        ({"any": ChainMatch(), "raw": ChainMatch(transport="raw_buffer", protocols=("h2c",))}, arrival(), None),
        # The longest prefix wins, and then there is no way back.
        ({"wide": ChainMatch(destinations=("10.0.0.0/8",)), "any": ChainMatch()}, arrival(), "wide"),
        (
            {"wide": ChainMatch(destinations=("10.0.0.0/8",)), "one": ChainMatch(destinations=("10.0.0.1/32",))},
            arrival(),
            "one",
        ),
        ({"wide": ChainMatch(destinations=("10.0.0.0/8",))}, arrival("11.0.0.1"), None),
        # Exact names before wildcards, longer ones first.
        (
            {"wide": ChainMatch(server_names=("*.b.c",)), "wider": ChainMatch(server_names=("*.c",))},
            arrival(server_name="a.b.c"),
            "wide",
        ),
        ({"wide": ChainMatch(server_names=("*.b.c",))}, arrival(server_name="b.c"), None),
        ({"exact": ChainMatch(server_names=("b.c", "x"))}, arrival(server_name="b.c"), "exact"),
        # The client's first protocol that a chain knows.
        (
            {"one": ChainMatch(protocols=("a",)), "two": ChainMatch(protocols=("b",))},
            arrival(transport="tls", protocols=("x", "b", "a")),
            "two",
        ),
        ({"local": ChainMatch(source_type="local")}, arrival(), None),
        ({"local": ChainMatch(source_type="local")}, arrival(source=("127.0.0.1", 1)), "local"),
        ({"local": ChainMatch(source_type="local")}, arrival(source=("10.0.0.1", 1)), "local"),
        ({"far": ChainMatch(source_type="external")}, arrival(), "far"),
        ({"net": ChainMatch(sources=("10.0.0.0/29",))}, arrival(), "net"),
        ({"net": ChainMatch(sources=("10.0.0.0/30",))}, arrival(), None),
        ({"peer": ChainMatch(direct_sources=("10.0.0.7/32",))}, arrival(), "peer"),
        ({"port": ChainMatch(source_ports=(4711,)), "any": ChainMatch()}, arrival(), "port"),
        ({"port": ChainMatch(source_ports=(4712,)), "any": ChainMatch()}, arrival(), "any"),
        ({}, arrival(), None),
    ],
)
def test_precedence(chains: dict[str, ChainMatch], connection: Arrival, chain: str | None) -> None:
    assert find(chains, connection) == chain


def test_two_chains_for_the_same_connections_are_refused() -> None:
    with pytest.raises(ValueError, match="two filter chains match the same"):
        ChainTable([(ChainMatch(port=1, protocols=("a", "b")), 1), (ChainMatch(port=1, protocols=("b",)), 2)])


def test_explain_says_what_was_looked_at() -> None:
    table = ChainTable((match, name) for name, match in INBOUND.items())
    assert table.explain(arrival(port=9080)) == [
        "destination port 9080: chains have 15006, 9080, any",
        "transport protocol raw_buffer: chains have raw_buffer, tls",
        "application protocol (none): chains have http/1.1, h2c, any",
    ]
    assert table.explain(arrival(port=1))[1] == "destination address 10.0.0.1: chains have 0.0.0.0/0, ::/0"


# -- against a restatement ------------------------------------------------------------------------------------------


def reference(chains: list[ChainMatch], connection: Arrival) -> int | None:
    """Level by level: of those that are left, keep the ones whose entry fits best."""
    left = list(enumerate(chains))
    for rank in (_port, _destination, _name, _transport, _protocol, _peer, _kind, _source, _source_port):
        ranked = [(rank(match, connection), number, match) for number, match in left]
        best = max((score for score, _, _ in ranked if score is not None), default=None)
        if best is None:
            return None
        left = [(number, match) for score, number, match in ranked if score == best]
    return left[0][0]


def _of(values: Any, value: object) -> int | None:
    return 0 if not values else 1 if value in values else None


def _port(match: ChainMatch, connection: Arrival) -> int | None:
    return _of((match.port,) if match.port else (), connection.destination[1])


def _in(ranges: tuple[str, ...], address: str) -> int | None:
    fitting = [net.prefixlen + 1 for net in map(ip_network, ranges) if ip_address(address) in net]
    return max(fitting) if fitting else None if ranges else 0


def _destination(match: ChainMatch, connection: Arrival) -> int | None:
    return _in(match.destinations, connection.destination[0])


def _name(match: ChainMatch, connection: Arrival) -> int | None:
    if not match.server_names:
        return 0
    if connection.server_name and connection.server_name in match.server_names:
        return 100
    fits = [len(n) for n in match.server_names if n.startswith("*.") and connection.server_name.endswith(n[1:])]
    return max(fits) if fits else None


def _transport(match: ChainMatch, connection: Arrival) -> int | None:
    return _of((match.transport,) if match.transport else (), connection.transport)


def _protocol(match: ChainMatch, connection: Arrival) -> int | None:
    if not match.protocols:
        return 0
    return max((10 - place for place, p in enumerate(connection.protocols) if p in match.protocols), default=None)


def _peer(match: ChainMatch, connection: Arrival) -> int | None:
    return _in(match.direct_sources, connection.source[0])


def _kind(match: ChainMatch, connection: Arrival) -> int | None:
    kind = "local" if connection.source[0] in (connection.destination[0], "127.0.0.1") else "external"
    return _of(() if match.source_type == "any" else (match.source_type,), kind)


def _source(match: ChainMatch, connection: Arrival) -> int | None:
    return _in(match.sources, connection.source[0])


def _source_port(match: ChainMatch, connection: Arrival) -> int | None:
    return _of(match.source_ports, connection.source[1])


def some(*values: str) -> Any:
    return st.lists(st.sampled_from(values), max_size=1, unique=True).map(tuple)


RANGES = some("10.0.0.0/8", "10.0.0.0/30", "10.0.0.1/32", "0.0.0.0/0", "::/0")
MATCHES = st.builds(
    ChainMatch,
    port=st.sampled_from((0, 0, 80)),
    destinations=RANGES,
    server_names=some("a.b.c", "*.b.c", "*.c"),
    transport=st.sampled_from(("", "raw_buffer", "tls")),
    protocols=some("h2", "http/1.1"),
    direct_sources=some("10.0.0.0/8"),
    source_type=st.sampled_from(("any", "any", "local", "external")),
    sources=RANGES,
    source_ports=st.sampled_from(((), (), (4711,))),
)
ARRIVALS = st.builds(
    arrival,
    destination=st.sampled_from(("10.0.0.1", "10.0.0.9", "11.0.0.1")),
    port=st.sampled_from((80, 81)),
    source=st.sampled_from((("10.0.0.1", 4711), ("10.0.0.2", 1), ("127.0.0.1", 4711))),
    server_name=st.sampled_from(("", "a.b.c", "x.b.c", "b.c", "x.c")),
    transport=st.sampled_from(("raw_buffer", "tls")),
    protocols=st.sampled_from(((), ("h2",), ("http/1.1", "h2"))),
)


@settings(max_examples=300)
@given(matches=st.lists(MATCHES, max_size=6, unique=True), connections=st.lists(ARRIVALS, min_size=1, max_size=5))
def test_the_table_finds_what_the_rules_say(matches: list[ChainMatch], connections: list[Arrival]) -> None:
    table = ChainTable((match, number) for number, match in enumerate(matches))
    for connection in connections:
        assert table.find(connection) == reference(matches, connection)
