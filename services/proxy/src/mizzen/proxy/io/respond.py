"""Responses that the proxy makes itself."""

from __future__ import annotations

from typing import Final

from mizzen.proxy.base.flags import LocalReply
from mizzen.proxy.codec.h1_write import response_head
from mizzen.proxy.codec.headers import Head, append, line
from mizzen.proxy.io.exchange import Exchange

CLOSE: Final = b"connection: close"
KEEP_ALIVE: Final = b"connection: keep-alive"
TEXT: Final = b"content-type: text/plain"
REASON: Final = b"x-mesh-reason"
_ONE_LINE: Final = bytes(byte if byte >= 0x20 and byte != 0x7F else 0x20 for byte in range(256))
"""Blanks for control characters: a reason may quote what came from far away."""


def reply(x: Exchange, local: LocalReply, reason: str, *, by_route: bool = True) -> None:
    """Answer with Envoy's flag, status and body; `reason` is one plain sentence, which a mesh for development tells.

    The route's origin is added, unless something else than the route decided.

    When the response has begun already, the connection is cut: that is the only way left to say that it failed.
    """
    x.flags = f"{local.flag},{x.flags}" if x.flags and local.flag else local.flag or x.flags
    x.details = local.details
    if x.responded:
        x.downstream.cut(x)
        return
    x.status = local.status
    head: Head = {}
    if local.body:
        head[b"content-type"] = TEXT
    for one in local.lines:
        head[one.partition(b":")[0].lower()] = one
    if x.manager.tells_reasons:
        if by_route and x.route.origin:
            reason = f"{reason} ({x.route.origin})"
        told = f"{x.flags or '-'} {reason}".encode("latin-1", "replace").translate(_ONE_LINE)
        head[REASON] = line(REASON, told)
    answer(x, local.status, head, local.body)


def answer(x: Exchange, status: int, head: Head, body: bytes) -> None:
    """Write a whole response of our own and be done with the exchange."""
    downstream = x.downstream
    if status == 204 or status == 304:  # RFC 9112 §6.3: a body would be read as the next response
        body = b""
        head.pop(b"content-type", None)
    else:
        head[b"content-length"] = b"content-length: %d" % len(body)
    head[b"server"] = x.manager.server
    head[b"date"] = downstream.runtime.date()
    if x.manager.via:
        append(head, b"via", x.manager.via)
    if not x.request_complete or downstream.must_close(x):
        x.keep_alive = False
    if not x.keep_alive:
        head[b"connection"] = CLOSE
    elif x.http_10:
        head[b"connection"] = KEEP_ALIVE
    if x.response_edits is not None:
        x.response_edits.apply(head, x)
    x.response_head = head
    data = response_head(status, head)
    if body and x.method != b"HEAD":
        x.bytes_sent = len(body)
        data += body
    x.response_started_at = now = downstream.runtime.now()
    x.responded = True
    downstream.write(data)
    downstream.response_complete(x, now)
