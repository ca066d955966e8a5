import pytest
from hypothesis import given
from hypothesis import strategies as st

from mizzen.proxy.codec.headers import (
    ConnectionOptions,
    add,
    connection_options,
    leave_connection,
    line,
    read_head,
    replace_host,
    tokens,
    trailers_to_forward,
    value_of,
    values_of,
)

NAMES = st.sampled_from([b"A", b"a", b"Accept", b"accept", b"X-Y"])
VALUES = st.from_regex(rb"\A[!-~]{0,3}\Z")


def test_a_head_keeps_lines_under_lower_case_names_and_repeated_ones_together() -> None:
    head = read_head([b"Accept: a", b"X:1", b"accept:  b"])
    assert head == {b"accept": b"Accept: a\r\naccept:  b", b"x": b"X:1"}
    assert value_of(head, b"accept") == b"a,b"


@given(st.lists(st.tuples(NAMES, VALUES)))
def test_values_are_those_that_were_added_and_value_of_joins_them(pairs: list[tuple[bytes, bytes]]) -> None:
    head: dict[bytes, bytes] = {}
    expected: dict[bytes, list[bytes]] = {}
    for name, value in pairs:
        add(head, name.lower(), line(name, value))
        expected.setdefault(name.lower(), []).append(value)
    assert head == read_head([line(name, value) for name, value in pairs])
    for name in (b"a", b"accept", b"x-y", b"none"):
        assert value_of(head, name) == (b",".join(expected[name]) if name in expected else None)
        assert values_of(head, name) == expected.get(name, [])


@pytest.mark.parametrize(
    ("value", "expected"),
    [(b"", []), (b" , ,", []), (b"close", [b"close"]), (b"Keep-Alive,\tX-A ", [b"keep-alive", b"x-a"])],
)
def test_tokens(value: bytes, expected: list[bytes]) -> None:
    assert tokens(value) == expected


def test_connection_options() -> None:
    options = connection_options(b"Connection: Keep-Alive, X-A\r\nconnection: host")
    assert options == ConnectionOptions(keep_alive=True, nominated=(b"keep-alive", b"x-a"))


def test_connection_nominates_headers_but_not_those_that_framing_and_routing_need() -> None:
    head = read_head(
        [b"X-Hop: 1", b"Host: a", b"Content-Length: 3", b"Keep: 2", b"TE: x", b"Connection: close, x-hop, host"]
    )
    assert leave_connection(head).close
    assert list(head) == [b"host", b"content-length", b"keep"]


def test_another_host_stands_behind_the_name_as_sent() -> None:
    head = read_head([b"HOST: a"])
    replace_host(head, b"b")
    assert head == {b"host": b"HOST: b"}


def test_trailers_lose_what_may_not_follow_a_body() -> None:
    head = read_head([b"grpc-status: 0", b"Content-Length: 3", b"Host: x", b"Set-Cookie: a=b"])
    assert trailers_to_forward(head) == {b"grpc-status": b"grpc-status: 0"}
