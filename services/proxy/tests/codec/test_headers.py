import pytest
from hypothesis import given
from hypothesis import strategies as st

from mizzen.proxy.codec.headers import fold, tokens, trailers_to_forward, value_of, without_nominated

NAMES = st.sampled_from([b"A", b"a", b"Accept", b"accept", b"X-Y"])
HEADS = st.lists(st.tuples(NAMES, st.binary(max_size=3)))


def test_fold_joins_repeated_values_in_order() -> None:
    head = [(b"Accept", b"a"), (b"X", b"1"), (b"accept", b"b")]
    assert fold(head) == {b"accept": b"a,b", b"x": b"1"}


@given(HEADS)
def test_value_of_is_a_look_up_in_the_folded_head(head: list[tuple[bytes, bytes]]) -> None:
    folded = fold(head)
    for name in (b"a", b"accept", b"x-y", b"none"):
        assert value_of(head, name) == folded.get(name)


@pytest.mark.parametrize(
    ("value", "expected"),
    [(b"", []), (b" , ,", []), (b"close", [b"close"]), (b"Keep-Alive,\tX-A ", [b"keep-alive", b"x-a"])],
)
def test_tokens(value: bytes, expected: list[bytes]) -> None:
    assert tokens(value) == expected


def test_connection_nominates_headers_but_not_those_that_framing_and_routing_need() -> None:
    head = [(b"X-Hop", b"1"), (b"Host", b"a"), (b"Content-Length", b"3"), (b"Keep", b"2")]
    assert without_nominated(head, b"close, x-hop, host, content-length") == [head[1], head[2], head[3]]


def test_trailers_lose_what_may_not_follow_a_body() -> None:
    head = [(b"grpc-status", b"0"), (b"Content-Length", b"3"), (b"Host", b"x"), (b"Set-Cookie", b"a=b")]
    assert trailers_to_forward(head) == [(b"grpc-status", b"0")]
