"""The agent's HTTP servers: admin, status, Prometheus, and that of the Pod.

Small on purpose: importing a web framework costs each sidecar 14 MB (measured with aiohttp 3.14), a fifth of what an
idle one may take. One request a connection, GET and POST, bodies are read and thrown away.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from urllib.parse import parse_qsl, unquote

from mizzen.runtime.address import Address, explain_bind_error
from mizzen.runtime.errors import StartError

log = logging.getLogger(__name__)

READ_SECONDS = 10.0
ANSWER_SECONDS = 30.0
WRITE_SECONDS = 30.0
MAX_HEAD = 16 * 1024
MAX_BODY = 64 * 1024
MAX_CONNECTIONS = 64


@dataclass(frozen=True, slots=True)
class Request:
    """What a page needs to know."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: tuple[tuple[str, str], ...] = ()
    """Lower-case names, in the order of the request."""
    client: str = ""
    """The IP address that asks."""

    def header(self, name: str) -> str:
        """The first of that lower-case name; "" when there is none."""
        return next((value for known, value in self.headers if known == name), "")


@dataclass(frozen=True, slots=True)
class Response:
    """A page."""

    text: str
    """Bytes that are no UTF-8 stand in it as `surrogateescape` has them."""
    status: int = 200
    content_type: str = "text/plain; charset=UTF-8"
    headers: tuple[tuple[str, str], ...] = ()


Handler = Callable[[Request], Awaitable[Response]]
Routes = Mapping[tuple[str, str], Handler]
"""By method and path."""


class HttpServer:
    """Serves while between `start` and `close`."""

    def __init__(self, routes: Routes, unknown: Handler | None = None, answer_seconds: float | None = None) -> None:
        """`unknown` answers for paths that no route has; a page may take `answer_seconds`."""
        self._routes = routes
        self._unknown = unknown
        self._answer_seconds = answer_seconds
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    async def start(self, address: Address) -> Address:
        """Listen; returns the address with the port that the system chose for 0. Raises StartError."""
        family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
        try:
            listener = socket.create_server(tuple(address), family=family, backlog=128)
        except OSError as error:
            raise StartError(explain_bind_error(address, error)) from error
        self._server = await asyncio.start_server(self._accept, sock=listener, limit=MAX_HEAD)
        return Address(address.host, listener.getsockname()[1])

    async def close(self) -> None:
        """Stop listening and end what is open."""
        if self._server is not None:
            self._server.close()
        for connection in tuple(self._connections):
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._connections) >= MAX_CONNECTIONS:
            writer.close()
            return
        connection = asyncio.ensure_future(self._serve(reader, writer))
        self._connections.add(connection)
        connection.add_done_callback(self._connections.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, TimeoutError, asyncio.IncompleteReadError):
            try:
                async with asyncio.timeout(READ_SECONDS):
                    request = await read_request(reader, writer.get_extra_info("peername")[0])
                response = await self._answer(request)
                async with asyncio.timeout(WRITE_SECONDS):
                    writer.write(encode(response))
                    await writer.drain()
            finally:
                writer.close()

    async def _answer(self, request: Request | Response) -> Response:
        if isinstance(request, Response):
            return request
        allowed = sorted(method for method, path in self._routes if path == request.path)
        handler = self._routes.get((request.method, request.path)) or (None if allowed else self._unknown)
        if handler is not None:
            seconds = self._answer_seconds or ANSWER_SECONDS
            try:
                async with asyncio.timeout(seconds):
                    return await handler(request)
            except TimeoutError:
                return Response(f"no answer within {seconds:g} s; what was asked for may go on\n", 503)
            except Exception:
                log.exception("%s %s failed", request.method, request.path)
                return Response("internal error; see the log\n", 500)
        if allowed:
            methods = ", ".join(allowed)
            return Response(f"Method Not Allowed: use {methods}\n", 405, headers=(("Allow", methods),))
        return Response("invalid path. See /help for the paths there are.\n", 404)


async def read_request(reader: asyncio.StreamReader, client: str) -> Request | Response:
    """The next request of the address `client` with its body consumed, or why it is not served."""
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    except asyncio.LimitOverrunError:
        return Response("the head is too large\n", 431)
    line, *fields = head[:-4].split("\r\n")
    method, _, rest = line.partition(" ")
    target, _, protocol = rest.partition(" ")
    if protocol not in ("HTTP/1.1", "HTTP/1.0") or not target.startswith("/"):
        return Response("not an HTTP/1.1 request\n", 400)
    split = (item.partition(":") for item in fields)
    listed = tuple((name.strip().lower(), value.strip()) for name, _, value in split)
    headers = dict(listed)
    length = headers.get("content-length", "0")
    if "transfer-encoding" in headers or not length.isdecimal() or len(length) > 9 or int(length) > MAX_BODY:
        return Response("a body is not expected\n", 413)
    await reader.readexactly(int(length))
    path, _, query = target.partition("?")
    return Request(method, unquote(path), dict(parse_qsl(query, keep_blank_values=True)), listed, client)


def encode(response: Response) -> bytes:
    """As HTTP/1.1 that ends the connection."""
    body = response.text.encode(errors="surrogateescape")
    known = response.status in HTTPStatus.__members__.values()
    lines = [
        f"HTTP/1.1 {response.status} {HTTPStatus(response.status).phrase if known else ''}",
        f"Content-Type: {response.content_type}",
        f"Content-Length: {len(body)}",
        "Cache-Control: no-cache, max-age=0",
        "X-Content-Type-Options: nosniff",
        *(f"{name}: {value}" for name, value in response.headers),
        "Connection: close",
    ]
    return "\r\n".join((*lines, "", "")).encode("latin-1") + body
