import pytest
from httptools import HttpResponseParser
from hypothesis import given
from hypothesis import strategies as st

from mizzen.proxy.codec.h1_write import chunk, last_chunk, request_head, response_head
from mizzen.proxy.codec.headers import line, read_head

TOKEN = st.from_regex(rb"\A[A-Za-z][A-Za-z0-9-]{0,8}\Z").filter(
    lambda n: n.lower() not in (b"connection", b"upgrade", b"content-length")
)
VALUE = st.from_regex(rb"\A([!-~]([ -~]{0,8}[!-~])?)?\Z")


class Reader:
    def __init__(self) -> None:
        self.head: list[tuple[bytes, bytes]] = []
        self.body = b""

    def on_header(self, name: bytes, value: bytes) -> None:
        self.head.append((name, value))

    def on_body(self, data: bytes) -> None:
        self.body += data


def test_request_head() -> None:
    assert (
        request_head(b"GET", b"/a?b", read_head([b"Host: c", b"x: "])) == b"GET /a?b HTTP/1.1\r\nHost: c\r\nx: \r\n\r\n"
    )


@pytest.mark.parametrize(
    ("status", "first"), [(200, b"HTTP/1.1 200 OK"), (431, b"HTTP/1.1 431 Request Header Fields Too Large")]
)
def test_status_lines(status: int, first: bytes) -> None:
    assert response_head(status, {b"a": b"a: b"}) == first + b"\r\na: b\r\n\r\n"
    assert response_head(status, {}) == first + b"\r\n\r\n"


@given(st.lists(st.tuples(TOKEN, VALUE), max_size=5), st.lists(st.binary(min_size=1), max_size=4))
def test_what_is_written_reads_back(head: list[tuple[bytes, bytes]], pieces: list[bytes]) -> None:
    reader = Reader()
    framing = (b"transfer-encoding", b"chunked")
    sent = read_head([line(*header) for header in (*head, framing)])
    written = response_head(200, sent) + b"".join(map(chunk, pieces)) + last_chunk({b"t": b"t: 1"})
    HttpResponseParser(reader).feed_data(written)
    assert sorted(reader.head) == sorted([*head, framing, (b"t", b"1")])
    assert reader.body == b"".join(pieces)
