"""One HTTP/1.1 request to a neighbour in the Pod (the application, or the proxy's own pages), or to an authorizer.

Small for the same reason as `servers.py`: a client library costs each sidecar several MB.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field

import httptools

from mizzen.proxy.io.connect import ClientSecurity, secure
from mizzen.proxy.io.tls import TlsConnection
from mizzen.runtime.address import Address

CHUNK = 64 * 1024
MAX_HEAD = 64 * 1024
_FINAL = 200
"""The lowest status that no other one follows."""
_FRAMED = {"content-length", "transfer-encoding"}

Headers = Iterable[tuple[str, str]]


class AnswerError(Exception):
    """The other side does not answer as HTTP has it; the message says how."""


@dataclass(frozen=True, slots=True)
class Peer:
    """Whom to ask, and from where."""

    address: Address
    tls: bool = False
    """Certificates are not checked, as the kubelet does not check them."""
    source: str = ""
    """The local address to call from; "" for the system's choice."""
    security: ClientSecurity | None = None
    """What a service of the mesh must prove, and what is shown to it; goes before `tls` and `source`."""


@dataclass(slots=True)
class Answer:
    """A response; `body` has at most as many bytes as were asked for."""

    status: int = 0
    lines: list[tuple[str, str]] = field(default_factory=list)
    """Headers as they came, with lower-case names."""
    headers: dict[str, str] = field(default_factory=dict)
    """The last one of each name."""
    body: bytes = b""
    truncated: bool = False


async def ask(peer: Peer, method: str, target: str, headers: Headers, limit: int, body: bytes = b"") -> Answer:
    """Ask, and read up to `limit` bytes of the body. The caller bounds the time.

    `headers` has Host, and the length of a body. Raises OSError, AnswerError, or ValueError for what cannot stand in a
    request.
    """
    reader, writer = await connect(peer)
    try:
        writer.write(_request(method, target, headers) + body)
        await writer.drain()
        return await _read(reader, _Parser(method, limit))
    finally:
        writer.close()
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(1):
                await writer.wait_closed()


async def connect(peer: Peer) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection; raises OSError."""
    if peer.security is not None:
        return await _secured(peer.address, peer.security)
    return await asyncio.open_connection(
        *peer.address,
        ssl=_trusting() if peer.tls else None,
        local_addr=(peer.source, 0) if peer.source else None,
    )


async def _secured(address: Address, client: ClientSecurity) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(loop=loop)
    protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
    inside: list[asyncio.StreamWriter] = []

    def made(connection: TlsConnection) -> None:
        connection.set_protocol(protocol)
        protocol.connection_made(connection)
        inside.append(asyncio.StreamWriter(connection, protocol, reader, loop))

    raw, _ = await loop.create_connection(asyncio.Protocol, *address)
    await secure(raw, client, address, made)
    return reader, inside[0]


def _trusting() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _request(method: str, target: str, headers: Headers) -> bytes:
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers), "Connection: close"]
    if " " in target or any(control in line for line in lines for control in "\r\n\0"):
        raise ValueError(f"{target!r} or its headers cannot stand in an HTTP request")
    return "\r\n".join((*lines, "", "")).encode("latin-1")


async def _read(reader: asyncio.StreamReader, parser: _Parser) -> Answer:
    while not parser.complete:
        data = await reader.read(CHUNK)
        if not data:
            parser.end()
            break
        try:
            parser.feed(data)
        except httptools.HttpParserError as error:
            raise AnswerError(f"the answer is not HTTP/1.1: {error}") from error
    return parser.answer


class _Parser:
    """Callbacks of httptools."""

    def __init__(self, method: str, limit: int) -> None:
        self.answer = Answer()
        self.complete = False
        self._limit = limit
        self._head = method == "HEAD"
        self._head_bytes = 0
        self._body = bytearray()
        self._parser = httptools.HttpResponseParser(self)

    def feed(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def end(self) -> None:
        """The connection was closed: for a body without a length that is its end."""
        if not self.answer.status or self.answer.headers.keys() & _FRAMED:
            raise AnswerError("the connection was closed before the answer was complete")
        self._finish()

    def on_header(self, name: bytes, value: bytes) -> None:
        self._head_bytes += len(name) + len(value)
        if self._head_bytes > MAX_HEAD:
            raise AnswerError("the head of the answer is too large")
        known, text = name.decode("latin-1").lower(), value.decode("latin-1")
        self.answer.lines.append((known, text))
        self.answer.headers[known] = text

    def on_headers_complete(self) -> None:
        self.answer.status = self._parser.get_status_code()
        if self._head and self.answer.status >= _FINAL:  # its length is of the body that GET would have got
            self._finish()

    def on_body(self, body: bytes) -> None:
        room = self._limit - len(self._body)
        self._body += body[:room]
        if len(body) > room:
            self.answer.truncated = True
            self._finish()

    def on_message_complete(self) -> None:
        if self.answer.status < _FINAL:  # the real one follows
            self.answer = Answer()
        else:
            self._finish()

    def _finish(self) -> None:
        self.answer.body = bytes(self._body)
        self.complete = True
