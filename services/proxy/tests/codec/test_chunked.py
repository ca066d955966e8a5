"""Our reading of chunked bodies against llhttp's, and its limits."""

from __future__ import annotations

import pytest
from httptools import HttpParserError, HttpRequestParser
from hypothesis import given
from hypothesis import strategies as st

from mizzen.proxy.codec.chunked import ChunkedReader
from mizzen.proxy.codec.h1_write import chunk, last_chunk
from mizzen.proxy.codec.headers import FramingError

HEAD = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"


class Seen:
    """The body and the trailers that llhttp reports."""

    def __init__(self) -> None:
        self.body = b""
        self.complete = False
        self.headers: list[tuple[bytes, bytes]] = []

    def on_headers_complete(self) -> None:
        self.headers.clear()

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name, value))

    def on_body(self, data: bytes) -> None:
        self.body += data

    def on_message_complete(self) -> None:
        self.complete = True


def read(reader: ChunkedReader, data: bytes, stride: int) -> bytes:
    """The body in some bytes that arrive `stride` at a time."""
    body = b""
    for at in range(0, len(data), stride):
        assert not reader.done
        body += b"".join(reader.feed(data[at : at + stride]))
    return body


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=5), st.integers(1, 50))
def test_what_is_written_reads_back(pieces: list[bytes], stride: int) -> None:
    reader = ChunkedReader()
    wire = b"".join(map(chunk, pieces)) + last_chunk({b"t": b"T: 1"})
    assert read(reader, wire, stride) == b"".join(pieces)
    assert reader.done
    assert reader.trailers == {b"t": b"T: 1"}


def test_what_follows_is_left() -> None:
    reader = ChunkedReader()
    assert reader.feed(b"3;x=y\r\nabc\r\n0\r\n\r\nGET /") == [b"abc"]
    assert reader.done
    assert reader.rest == b"GET /"


FRAGMENTS = st.sampled_from(
    [b"=", b'"',
     b'3;a="b c"\r\nabc\r\n',
     b"3\r\nabc\r\n", b"3;a=b\r\nabc\r\n", b"3 ;a\r\nabc\r\n", b"0\r\n", b"\r\n", b"\n", b"\r", b"3", b"abc",
     b"T: 1\r\n", b" ", b"x", b"T : 1\r\n", b"Content-Length: 3\r\n", b"-1\r\n", b"0003\r\nabc\r\n", b"3;\0\r\n", b";",
     b"FFFFFFFFFFFFFFFFF\r\n", b"\x80"]
)  # fmt: skip


@given(st.lists(FRAGMENTS, max_size=8), st.integers(1, 30))
def test_nothing_passes_that_llhttp_refuses(fragments: list[bytes], stride: int) -> None:
    wire = b"".join(fragments)
    reader, seen = ChunkedReader(), Seen()
    body, taken = b"", 0
    try:
        while taken < len(wire) and not reader.done:
            piece = wire[taken : taken + stride]
            body += b"".join(reader.feed(piece))
            taken += len(piece) - len(reader.rest)
    except FramingError:
        return
    parser = HttpRequestParser(seen)
    parser.feed_data(HEAD)
    try:
        parser.feed_data(wire[:taken])
    except HttpParserError as error:
        raise AssertionError(f"llhttp refuses {wire!r}: {error}") from error
    assert seen.body == body
    assert seen.complete == reader.done


@pytest.mark.parametrize(
    ("wire", "reason"),
    [
        (b"3;" + b"a" * 20_000, "oversized"),
        (b"3;" + b"a" * 1_500, "oversized chunk extensions"),
        (b"0\r\n" + b"T: x\r\n" * 101, "more than 100 trailers"),
        (b"0\r\n" + b"T: " + b"x" * 17_000, "oversized"),
        (b"0\r\nTransfer-Encoding: chunked\r\n", "framing header"),
        (b"3\r\nabcd", "longer than its size"),
        (b"1\rx", "malformed chunk size"),
        (b"g", "malformed chunk size"),
        (b"3\n", "malformed chunk size"),
        (b"0\r\nT : 1", "malformed trailer"),
    ],
)
def test_limits_and_reasons(wire: bytes, reason: str) -> None:
    with pytest.raises(FramingError, match=reason):
        ChunkedReader().feed(wire)
