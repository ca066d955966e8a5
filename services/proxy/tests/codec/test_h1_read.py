"""Heads cut from a stream agree with what llhttp sees in it, however it is sliced."""

from __future__ import annotations

from itertools import pairwise

import pytest
from httptools import HttpParserError, HttpRequestParser
from hypothesis import given
from hypothesis import strategies as st

from mizzen.proxy.codec.h1_read import HeadReader
from mizzen.proxy.codec.headers import FramingError, read_head, value_of

GET = b"GET /a HTTP/1.1\r\nHost: b\r\nX-Y:  z \r\n\r\n"


class Seen:
    """What llhttp reports when it is asked for everything."""

    def __init__(self) -> None:
        self.heads: list[list[tuple[bytes, bytes]]] = []
        self.complete = 0

    def on_message_begin(self) -> None:
        self.heads.append([])

    def on_header(self, name: bytes, value: bytes) -> None:
        self.heads[-1].append((name, value))

    def on_headers_complete(self) -> None:
        self.complete += 1


def read_all(pieces: list[bytes]) -> list[list[bytes]]:
    """The heads in a stream of requests without bodies."""
    reader = HeadReader(request=True)
    heads = []
    for piece in pieces:
        data = piece
        while data:
            lines = reader.read(data)
            if lines is None:
                break
            heads.append(lines)
            data = reader.rest
    return heads


def test_a_head_and_what_follows() -> None:
    reader = HeadReader(request=True)
    assert reader.read(GET + b"rest") == [b"GET /a HTTP/1.1", b"Host: b", b"X-Y:  z "]
    assert reader.rest == b"rest"
    assert reader.size == len(GET)


@given(st.lists(st.integers(0, 3 * len(GET) + 2), max_size=6))
def test_slices_do_not_matter(cuts: list[int]) -> None:
    stream = b"\r\n" + GET * 3
    marks = [0, *sorted(cuts), len(stream)]
    pieces = [stream[start:end] for start, end in pairwise(marks)]
    assert read_all([piece for piece in pieces if piece]) == [[b"GET /a HTTP/1.1", b"Host: b", b"X-Y:  z "]] * 3


def test_a_body_is_not_read_as_a_head() -> None:
    reader = HeadReader(request=True)
    reader.read(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n")
    reader.body_follows()
    assert reader.read(GET) is not None


def test_an_announced_body_stops_who_forgets_it() -> None:
    reader = HeadReader(request=True)
    reader.read(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 500\r\n\r\n")
    with pytest.raises(FramingError, match="on_body"):
        reader.read(GET)


def test_a_head_begins_where_the_announced_body_would() -> None:
    reader = HeadReader(request=True)
    reader.read(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n")
    with pytest.raises(FramingError):
        reader.read(b"12345" + GET)


def test_nonsense_is_refused_before_it_ends() -> None:
    with pytest.raises(FramingError):
        HeadReader(request=True).read(b"\x16\x03\x01\x02")


@given(
    st.lists(
        st.sampled_from([b"Host: a", b"X: 1", b"x:2", b"Y :1", b" folded", b"a\rb: c", b"n\n: 1", b"", b"T: \xff"]),
        max_size=5,
    ),
    st.sampled_from([b"\r\n", b"\n", b"\r"]),
)
def test_agrees_with_llhttp(lines: list[bytes], line_end: bytes) -> None:
    """Whatever passes has the headers that llhttp reports, and nothing passes that llhttp refuses."""
    stream = line_end.join([b"GET / HTTP/1.1", *lines, b"", b""])
    seen = Seen()
    try:
        HttpRequestParser(seen).feed_data(stream)
        refused = False
    except HttpParserError:
        refused = True
    try:
        heads = read_all([stream])
    except FramingError:
        assert refused or seen.complete != 1
        return
    assert not refused
    assert len(heads) == seen.complete
    for ours, theirs in zip(heads, seen.heads, strict=False):
        head = read_head(ours[1:])
        for name in head:
            assert value_of(head, name) == b",".join(value for key, value in theirs if key.lower() == name)
        assert len(theirs) == len(ours) - 1


@pytest.mark.parametrize("cut", [0, 5, 18, 20])
def test_http2_is_called_by_its_name(cut: int) -> None:
    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    with pytest.raises(FramingError, match="HTTP/2, which is not spoken here"):
        read_all([piece for piece in (preface[:cut], preface[cut:]) if piece])
