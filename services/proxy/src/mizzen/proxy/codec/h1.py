"""The strict reading of HTTP/1.1 messages: what llhttp lets through and we do not.

llhttp (through httptools) already refuses both Content-Length and Transfer-Encoding, repeated or malformed lengths,
bare CR or LF, folded lines, blanks before the colon, control characters and malformed chunks. The functions here add
the rest; `FramingError` means: answer 400 (or 502 for a response), close, forward nothing.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from mizzen.proxy.base.authority import without_port
from mizzen.proxy.codec.headers import FramingError, value_of

MAX_HEADERS: Final = 100
"""Headers in a head or a trailer section; Envoy's default."""

MAX_QUIET_BYTES: Final = 16 * 1024
"""Bytes of chunk-size lines (their extensions) or of a trailer section read without a piece of body between them."""

MAX_LENGTH_LINE: Final = 64
"""Bytes of a Content-Length line: 20 digits hold any length that llhttp takes, and int() takes no endless zeros."""

MAX_HOST_LINE: Final = 1024
"""Bytes of a Host line; DNS names have 253. This and the limit above also bound what the caches below may hold."""


def check_transfer_encoding(lines: bytes) -> None:
    """Nothing but `chunked` can be relayed: another coding would be forwarded under a wrong name."""
    if (value_of({b"transfer-encoding": lines}, b"transfer-encoding") or b"").lower() != b"chunked":
        raise FramingError("a Transfer-Encoding other than chunked")


def split_target(method: bytes, target: bytes) -> tuple[bytes, bytes, bytes]:
    """Read a request target: (scheme, authority, path with query).

    Origin form gives an empty scheme and authority, absolute form all three; `*` is for OPTIONS alone.
    """
    if target[:1] == b"/":
        if b"#" in target:
            raise FramingError("a fragment in the request target")
        return b"", b"", target
    if target == b"*" and method == b"OPTIONS":
        return b"", b"", target
    scheme, separator, rest = target.partition(b"://")
    if not separator or scheme.lower() not in (b"http", b"https"):
        raise FramingError("a request target that is neither a path nor an http URI")
    if b"#" in rest:
        raise FramingError("a fragment in the request target")
    end = min((at for at in (rest.find(b"/"), rest.find(b"?")) if at >= 0), default=len(rest))
    authority, path = rest[:end], rest[end:]
    if not authority or b"@" in authority:
        raise FramingError("a request target without a host, or with user information")
    if path[:1] != b"/":
        path = b"/" + path
    return scheme.lower(), authority, path


@lru_cache(1024)
def read_length(lines: bytes) -> int:
    """The length in a Content-Length header, from its line, which llhttp has judged."""
    if len(lines) > MAX_LENGTH_LINE:
        raise FramingError("an oversized Content-Length")
    return int(lines[len(b"content-length:") :])


@lru_cache(1024)
def read_host(lines: bytes) -> bytes:
    """The authority in a Host header, from its line."""
    if b"\r\n" in lines:
        raise FramingError("more than one Host header")
    if len(lines) > MAX_HOST_LINE:
        raise FramingError("an oversized Host")
    return check_authority(lines[len(b"host:") :].strip(b" \t"))


def check_authority(authority: bytes) -> bytes:
    """The authority, if it is a host and optional port that cannot be mistaken for something else further on."""
    if not without_port(authority) or authority.translate(None, delete=_AUTHORITY_BYTES):
        raise FramingError("an invalid Host")
    return authority


_AUTHORITY_BYTES: Final = (
    b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
    b"-._~"  # unreserved
    b"!$&'()*+,;="  # sub-delims
    b"%:[]"
)
