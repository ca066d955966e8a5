"""What a connection's first bytes say: a TLS ClientHello with its SNI and ALPN, HTTP/1, HTTP/2, or nothing known.

A sniffer is fed pieces as they come, keeps no more than its limit, and says what it knows as soon as it is known, so
that a protocol in which the server speaks first waits as little as can be. Sources: RFC 8446 §4.1.2, RFC 6066 §3,
RFC 7301 §3.1, RFC 9113 §3.4; the limits are Envoy's.
"""

from __future__ import annotations

import re
from typing import Final

WAITING: Final = 0
"""More bytes are needed."""
FOUND: Final = 1
OTHER: Final = 2
"""It is something else."""
TOO_LARGE: Final = 3

MAX_HELLO: Final = 64 * 1024
MAX_LINE: Final = 64 * 1024

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_METHODS: Final = (
    b"ACL BIND CHECKOUT CONNECT COPY DELETE GET HEAD LINK LOCK M-SEARCH MERGE MKACTIVITY MKCALENDAR MKCOL MOVE NOTIFY"
    b" OPTIONS PATCH POST PROPFIND PROPPATCH PURGE PUT REBIND REPORT SEARCH SOURCE SUBSCRIBE TRACE UNBIND UNLINK UNLOCK"
    b" UNSUBSCRIBE"
).split()
_METHOD_PREFIXES: Final = frozenset(
    (method + b" ")[:length] for method in _METHODS for length in range(1, len(method) + 2)
)
"""What a request line of HTTP/1 may begin with, up to the blank after the method."""
_LONGEST_METHOD: Final = max(map(len, _METHODS)) + 1
MAX_PROTOCOLS: Final = 64
"""Of ALPN that are read: a connection keeps them, and a ClientHello has room for 20,000."""
_SERVER_NAME: Final = re.compile(rb"[A-Za-z0-9._-]{1,255}")
_HANDSHAKE: Final = 22
_CLIENT_HELLO: Final = 1
_MAX_RECORD: Final = 2**14 + 256
_SNI: Final = 0
_ALPN: Final = 16


class HttpSniffer:
    """Looks for the request line of HTTP/1 or the preface of HTTP/2."""

    __slots__ = ("_searched", "_seen", "protocol", "state")

    def __init__(self) -> None:
        self._seen = bytearray()
        self._searched = 0
        self.state = WAITING
        self.protocol = ""
        """`http/1.0`, `http/1.1` or `h2c` when it was found."""

    def feed(self, data: bytes) -> int:
        """Take a piece in; the state."""
        if self.state == WAITING and data:
            self._seen += data
            self.state = self._judge()
        return self.state

    def _judge(self) -> int:
        seen = self._seen
        if seen.startswith(PREFACE[:3]):  # no method begins so
            if not PREFACE.startswith(seen[: len(PREFACE)]):
                return OTHER
            if len(seen) < len(PREFACE):
                return WAITING
            self.protocol = "h2c"
            return FOUND
        if not _may_begin_a_request(bytes(seen[:_LONGEST_METHOD])):
            return OTHER
        end = seen.find(b"\n", self._searched)
        self._searched = len(seen)
        if end < 0:
            return WAITING if len(seen) < MAX_LINE else OTHER
        words = bytes(seen[:end]).removesuffix(b"\r").split(b" ")
        if len(words) != 3 or not words[1] or words[2] not in (b"HTTP/1.0", b"HTTP/1.1"):
            return OTHER
        self.protocol = words[2].decode().lower()
        return FOUND


def _may_begin_a_request(begin: bytes) -> bool:
    method, blank, _ = begin.partition(b" ")
    return method + blank in _METHOD_PREFIXES


class TlsSniffer:
    """Looks for a ClientHello, which may be cut into records and pieces at any byte."""

    __slots__ = ("_hello", "_kept", "_size", "protocols", "server_name", "state")

    def __init__(self) -> None:
        self._kept = bytearray()
        """What came of the record under way."""
        self._hello = bytearray()
        """The handshake message as far as it is known, with its header."""
        self._size = 0
        self.state = WAITING
        self.server_name = ""
        """SNI, lower case; "" for none."""
        self.protocols: tuple[str, ...] = ()
        """ALPN in the client's order, the first of them."""

    def feed(self, data: bytes) -> int:
        """Take a piece in; the state."""
        if self.state == WAITING and data:
            self._size += len(data)
            self._kept += data
            self.state = self._judge()
            if self.state == WAITING and self._size >= MAX_HELLO:
                self.state = TOO_LARGE
        return self.state

    def _judge(self) -> int:
        begin = 0
        kept = self._kept
        while begin < len(kept):
            header = kept[begin : begin + 5]
            if header[0] != _HANDSHAKE or (len(header) > 1 and header[1] != 3):
                return OTHER
            if len(header) < 5:
                break
            length = int.from_bytes(header[3:5], "big")
            if not 0 < length <= _MAX_RECORD:
                return OTHER
            if begin + 5 + length > len(kept):
                break
            self._hello += kept[begin + 5 : begin + 5 + length]
            begin += 5 + length
            state = self._judge_message()
            if state != WAITING:
                return state
        del kept[:begin]
        return WAITING

    def _judge_message(self) -> int:
        hello = self._hello
        if hello[0] != _CLIENT_HELLO:
            return OTHER
        if len(hello) < 4:
            return WAITING
        length = int.from_bytes(hello[1:4], "big")
        if length > MAX_HELLO:
            return TOO_LARGE
        if len(hello) < 4 + length:
            return WAITING
        try:
            self._read(bytes(hello[4 : 4 + length]))
        except ValueError:
            return OTHER
        return FOUND

    def _read(self, body: bytes) -> None:
        """Find the extensions; ValueError for what is cut short, or says one thing twice (RFC 8446 §4.2)."""
        _, rest = _take(body, 2 + 32)  # version, random
        for size in (1, 2, 1):  # session id, cipher suites, compression methods
            _, rest = _take_vector(rest, size)
        if not rest:
            return
        extensions, _ = _take_vector(rest, 2)
        known: set[bytes] = set()
        while extensions:
            kind, extensions = _take(extensions, 2)
            value, extensions = _take_vector(extensions, 2)
            if kind in known:
                raise ValueError("an extension that comes twice")
            known.add(kind)
            if int.from_bytes(kind, "big") == _SNI:
                self.server_name = _read_server_name(value)
            elif int.from_bytes(kind, "big") == _ALPN:
                self.protocols = _read_protocols(value)


def _read_server_name(value: bytes) -> str:
    """The first host name; a name that could forge a log line counts as none."""
    names, _ = _take_vector(value, 2)
    while names:
        kind, names = _take(names, 1)
        name, names = _take_vector(names, 2)
        if kind == b"\0":
            return name.decode().lower() if _SERVER_NAME.fullmatch(name) else ""
    return ""


def _read_protocols(value: bytes) -> tuple[str, ...]:
    names, _ = _take_vector(value, 2)
    found: list[str] = []
    while names and len(found) < MAX_PROTOCOLS:
        name, names = _take_vector(names, 1)
        found.append(name.decode("latin-1"))
    return tuple(found)


def _take(data: bytes, size: int) -> tuple[bytes, bytes]:
    if len(data) < size:
        raise ValueError("a ClientHello that is cut short")
    return data[:size], data[size:]


def _take_vector(data: bytes, size: int) -> tuple[bytes, bytes]:
    """What follows a length of `size` bytes, and the rest."""
    length, rest = _take(data, size)
    return _take(rest, int.from_bytes(length, "big"))
