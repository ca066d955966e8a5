"""Heads and chunks as bytes. What never changes is written once, when the module loads."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

from mizzen.proxy.codec.headers import Head

_REASONS: Final = {status.value: status.phrase for status in HTTPStatus} | {425: "Too Early"}

STATUS_LINES: Final[dict[int, bytes]] = {
    code: f"HTTP/1.1 {code} {_REASONS.get(code, 'Unknown')}\r\n".encode() for code in range(100, 1000)
}

TRANSFER_ENCODING_CHUNKED: Final = b"transfer-encoding: chunked"

LAST_CHUNK: Final = b"0\r\n\r\n"


_SERVICE_TIMES: Final = [b"x-envoy-upstream-service-time: %d" % milliseconds for milliseconds in range(100)]


def service_time(milliseconds: int) -> bytes:
    """How long an endpoint took, as a header line."""
    if milliseconds < len(_SERVICE_TIMES):
        return _SERVICE_TIMES[milliseconds]
    return b"x-envoy-upstream-service-time: %d" % milliseconds


def request_head(method: bytes, path: bytes, head: Head) -> bytes:
    """A request line in origin form, the headers and the empty line."""
    return b"".join((method, b" ", path, b" HTTP/1.1\r\n", b"\r\n".join(head.values()), b"\r\n\r\n"))


def response_head(status: int, head: Head) -> bytes:
    """A status line, the headers and the empty line."""
    if not head:
        return STATUS_LINES[status] + b"\r\n"
    return b"".join((STATUS_LINES[status], b"\r\n".join(head.values()), b"\r\n\r\n"))


def chunk(data: bytes) -> bytes:
    """One chunk of a chunked body; `data` is not empty."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def last_chunk(trailers: Head) -> bytes:
    """The end of a chunked body, with its trailer section."""
    if not trailers:
        return LAST_CHUNK
    return b"0\r\n%b\r\n\r\n" % b"\r\n".join(trailers.values())
