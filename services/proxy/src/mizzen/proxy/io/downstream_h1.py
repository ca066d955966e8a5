"""An HTTP/1.1 connection from a client. ★ hot.

One exchange is under way at a time. What a client pipelines behind it is parsed, waits in `_queue`, and reading pauses
until the queue is empty; so a queue never holds more than one read's worth of requests.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Final, cast

from mizzen.proxy.base import flags
from mizzen.proxy.base.flags import LocalReply
from mizzen.proxy.codec.chunked import ChunkedReader
from mizzen.proxy.codec.h1 import read_length
from mizzen.proxy.codec.h1_read import HeadReader
from mizzen.proxy.codec.headers import FramingError
from mizzen.proxy.io.connect import address_text
from mizzen.proxy.io.downstream_deadlines import look
from mizzen.proxy.io.exchange import NO_BODY, SIZED, Exchange
from mizzen.proxy.io.forward import abandon, begin
from mizzen.proxy.io.request_head import admit, prepare
from mizzen.proxy.io.respond import reply
from mizzen.proxy.io.telemetry import BATCH
from mizzen.proxy.io.timers import NEVER

if TYPE_CHECKING:
    from mizzen.proxy.engine.arrival import Arrival
    from mizzen.proxy.io.chain import Chain
    from mizzen.proxy.io.http_manager import HttpManager

PIPELINE: Final = 1
WAITING: Final = 2
UPSTREAM: Final = 4
"""Why reading is paused: requests in the queue, a body without a connection, a slow endpoint."""

LINGER: Final = 1.0
"""Seconds in which a client may read our last answer while we throw away what it still sends."""


class Downstream:
    """One client connection: what it sends, the queue, the deadlines. Has the methods of an asyncio.Protocol."""

    __slots__ = (
        "_body_left",
        "_chunked",
        "_heads",
        "_paused_for",
        "_queue",
        "_refused",
        "_serving",
        "active_at",
        "arrival",
        "chain",
        "closing",
        "connection_id",
        "current",
        "head_began_at",
        "local_address",
        "look_at",
        "opened_at",
        "parsing",
        "peer_address",
        "peer_host",
        "principal",
        "requests",
        "runtime",
        "transport",
        "write_paused",
    )

    def __init__(self, chain: Chain, arrival: Arrival | None = None) -> None:
        self.chain = chain
        self.arrival = arrival
        """What was found out before; None where nothing had to be."""
        self.runtime = chain.runtime
        self.transport: asyncio.Transport = cast("asyncio.Transport", None)
        self.look_at = NEVER
        self.current: Exchange | None = None
        """The exchange that is being answered."""
        self.parsing: Exchange | None = None
        """The exchange whose body is being read; often the current one."""
        self.head_began_at = 0.0
        """When the first bytes of a head came that is not complete yet; else 0.0."""
        self._queue: deque[Exchange] = deque()
        self._heads = HeadReader(request=True)
        self._body_left = 0
        """Bytes to come of a body with a length."""
        self._chunked: ChunkedReader | None = None
        """The reader of a body without a length."""
        self._paused_for = 0
        self._serving = False
        self.closing = False
        """Nothing more is read; what was written may still be on its way."""
        self._refused: tuple[Exchange, LocalReply, str] | None = None
        """The answer to a bad request behind the ones in the queue."""
        self.write_paused = False
        self.requests = 0

    # -- connection -------------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.opened_at = self.active_at = self.runtime.now()
        self.connection_id = self.runtime.next_connection_id()
        peer = transport.get_extra_info("peername")
        self.peer_address = address_text(peer)
        self.peer_host = peer[0].encode() if peer else b""
        arrival = self.arrival
        self.local_address = address_text(
            transport.get_extra_info("sockname") if arrival is None else arrival.destination
        )
        self.principal = arrival.principal if arrival is not None else ""
        """The identity that the client has proved; empty for none."""
        self.transport.set_write_buffer_limits(self.chain.buffer_limit)
        self.chain.opened(self)
        self.runtime.wheel.look(self, self.active_at + self.chain.http.idle_timeout)

    def connection_lost(self, exc: Exception | None) -> None:
        self.closing = True
        self.runtime.wheel.forget(self)
        self.chain.closed(self)
        self._queue.clear()
        x = self.current
        if x is not None and not x.done:
            x.flags = flags.DOWNSTREAM_CONNECTION_TERMINATION
            x.details = flags.DOWNSTREAM_REMOTE_DISCONNECT
            x.manager.stats.downstream_cx_destroy_active_rq += 1
            x.manager.stats.downstream_rq_rx_reset += 1
            abandon(x, failed=False)
            self._account(x)

    def data_received(self, data: bytes) -> None:
        self.active_at = self.runtime.now()
        try:
            while data and not self.closing and self._refused is None:
                x = self.parsing
                data = self._read_head(data) if x is None else self._read_body(x, data)
        except FramingError as error:
            self._broken(error)

    def eof_received(self) -> None:
        """The client sends no more: close, as Envoy does."""

    def pause_writing(self) -> None:
        self.write_paused = True
        if self.current is not None and self.current.upstream is not None:
            self.current.upstream.pause_reading()

    def resume_writing(self) -> None:
        self.write_paused = False
        if self.current is not None and self.current.upstream is not None:
            self.current.upstream.resume_reading()

    def pause_reading(self, why: int) -> None:
        """Stop reading for one more reason."""
        if not self._paused_for and not self.transport.is_closing():
            self.transport.pause_reading()
        self._paused_for |= why

    def resume_reading(self, why: int) -> None:
        """A reason is gone; read again when it was the last one."""
        if self._paused_for == 0:
            return
        self._paused_for &= ~why
        if not self._paused_for and not self.transport.is_closing():
            self.transport.resume_reading()

    # -- requests ---------------------------------------------------------------------------------------------------

    def _read_head(self, data: bytes) -> bytes:
        """Begin an exchange if the head is complete; returns what follows the head."""
        lines = self._heads.read(data)
        manager = self.chain.http
        if lines is None or self._heads.size > manager.max_request_headers:
            self._mid_head(manager)
            return b""
        rest = self._heads.rest
        self.parsing = x = Exchange(self, self.head_began_at or self.active_at)
        self.head_began_at = 0.0
        x.manager = manager
        self.requests += 1
        refusal = admit(x, lines)
        if refusal is not None:
            self.refuse(x, refusal, _REFUSALS[refusal.details])
            return b""
        if x.body_kind == NO_BODY:
            self.parsing = None
            x.request_complete = True
            x.request_ended_at = self.active_at
        else:
            self._expect_body(x)
        prepare(x, manager)
        if self.current is None:
            self._start(x)
        else:
            self._queue.append(x)
            self.pause_reading(PIPELINE)
        return rest

    def _mid_head(self, manager: HttpManager) -> None:
        """A read ended inside a head: bound what it may hold and how long it may take."""
        size = self._heads.size
        if size == 0:
            return  # empty lines before a request
        began = self.head_began_at = self.head_began_at or self.active_at
        if size > manager.max_request_headers:
            x = Exchange(self, began)
            x.manager = manager
            self.refuse(x, flags.HEADERS_TOO_LARGE, _REFUSALS["request_headers_too_large"])
        elif manager.headers_timeout and began + manager.headers_timeout < self.look_at:
            self.runtime.wheel.look(self, began + manager.headers_timeout)

    def _expect_body(self, x: Exchange) -> None:
        self._heads.body_follows()
        if x.body_kind == SIZED:
            self._body_left = read_length(x.head[b"content-length"])
            if self._body_left == 0:
                self._end_body(x)
        else:
            self._chunked = ChunkedReader()

    def _read_body(self, x: Exchange, data: bytes) -> bytes:
        """Pass on what is body in `data`; returns what follows the body."""
        chunked = self._chunked
        if chunked is None:
            left = self._body_left
            piece = data[:left]
            self._body_left = left - len(piece)
            self._pass_body(x, piece)
            if self._body_left:
                return b""
            self._end_body(x)
            return data[left:]
        for piece in chunked.feed(data):
            self._pass_body(x, piece)
        if not chunked.done:
            return b""
        self._chunked = None
        x.trailers = chunked.trailers or None
        self._end_body(x)
        return chunked.rest

    def _pass_body(self, x: Exchange, data: bytes) -> None:
        x.bytes_received += len(data)
        upstream = x.upstream
        if upstream is not None:
            upstream.send_body(x, data)
        elif not x.done:
            if x.waiting_body is None:
                x.waiting_body = []
            x.waiting_body.append(data)
            if x.check is not None and x.check.wants_body(x):
                return
            if x is self.current and x.upstream is None and not x.done:
                self.pause_reading(WAITING)

    def _end_body(self, x: Exchange) -> None:
        self.parsing = None
        if x.done:
            return  # answered already
        x.request_complete = True
        x.request_ended_at = self.active_at
        if x.upstream is not None:
            x.upstream.end_body(x)
        elif x.check is not None:
            x.check.body_ended(x)
        self.watch_route(x)

    # -- exchanges --------------------------------------------------------------------------------------------------

    def _start(self, x: Exchange) -> None:
        self.current = x
        stats = x.manager.stats
        stats.downstream_rq_total += 1
        stats.downstream_rq_active += 1
        if x.manager.authorization is None or x.manager.authorization.admits(x):
            begin(x)
        self.watch_route(x)
        if x.manager.stream_idle_timeout:
            due = self.active_at + x.manager.stream_idle_timeout
            if due < self.look_at:
                self.runtime.wheel.look(self, due)

    def watch_route(self, x: Exchange) -> None:
        """The route's timeout runs from the end of the request, as Envoy's does."""
        if not x.route.timeout or not x.request_complete or x.done:
            return
        x.deadline = self.active_at + x.route.timeout
        if x.deadline < self.look_at:
            self.runtime.wheel.look(self, x.deadline)

    def must_close(self, x: Exchange) -> bool:
        """The response of `x` should be the last on this connection."""
        limit = x.manager.max_requests
        return self.runtime.draining or self.chain.draining or (limit > 0 and self.requests >= limit)

    def write(self, data: bytes) -> None:
        """Send bytes of the current response."""
        self.transport.write(data)

    def response_complete(self, x: Exchange, now: float) -> None:
        """The last byte of the response of `x` is written."""
        self.active_at = now
        self._account(x)
        if self._paused_for:
            self.resume_reading(WAITING | UPSTREAM)
        if not x.request_complete:
            x.keep_alive = False  # what is left of the request is of no use to anybody
        if x.keep_alive and not self._queue and self._refused is None:
            self.current = None
        else:
            self._next()

    def cut(self, x: Exchange) -> None:
        """The response cannot be completed: close, so that the client sees it end early."""
        self._account(x)
        self.closing = True
        self.transport.close()

    def _next(self) -> None:
        """The connection is free: close it, or take the next request from the queue."""
        x = self.current
        self.current = None
        if x is not None and not x.keep_alive:
            self._close_gently(lingering=not x.request_complete or bool(self._queue))
            return
        if self._serving:
            return
        self._serving = True
        while self._queue and self._is_free():
            x = self._queue.popleft()
            if not self._queue and self._refused is None:
                self.resume_reading(PIPELINE)  # before `x` is through: the rest of its body may be among what waits
            self._start(x)
        self._serving = False
        if self._refused is not None and self._is_free():
            refused, local, reason = self._refused
            self._refused = None
            self.refuse(refused, local, reason)

    def _is_free(self) -> bool:
        return self.current is None and not self.closing

    def _account(self, x: Exchange) -> None:
        x.done = True
        x.ended_at = now = self.active_at
        stats = x.manager.stats
        stats.downstream_rq_active -= 1
        stats.downstream_rq_completed += 1
        stats.statuses.record(x.status)
        stats.downstream_rq_time.record((now - x.started_at) * 1000.0)
        samples = x.manager.samples
        workload = "" if x.endpoint is None else x.endpoint.workload
        took = (now - x.started_at) * 1000.0
        key = (x.manager.direction, x.target.cluster, x.status, x.flags, workload, x.forwarded, self.principal)
        samples.append((*key, took, x.bytes_received, x.bytes_sent))
        if len(samples) >= BATCH:
            self.runtime.telemetry.fold()
        for access_log in x.manager.logs:
            access_log.append(x)

    # -- refusals ---------------------------------------------------------------------------------------------------

    def _broken(self, error: FramingError) -> None:
        x = self.parsing
        if x is None or x.done:
            x = Exchange(self, self.head_began_at or self.active_at)
        x.manager = self.chain.http
        x.manager.stats.downstream_cx_protocol_error += 1
        self.refuse(x, flags.CODEC_ERROR, f"the request cannot be read: {error}")

    def refuse(self, x: Exchange, local: LocalReply, reason: str) -> None:
        """Answer a request that is not forwarded, after the ones before it, and close."""
        x.keep_alive = False
        self.parsing = None
        if self.current is not None and self.current is not x:
            if self._queue and self._queue[-1] is x:
                self._queue.pop()  # its head was good, its body is not
            self._refused = (x, local, reason)
            self.pause_reading(PIPELINE)
            return
        if self.current is x:
            abandon(x, failed=False)
        else:
            self.current = x
            x.manager.stats.downstream_rq_total += 1
            x.manager.stats.downstream_rq_active += 1
        reply(x, local, reason)

    def _close_gently(self, *, lingering: bool) -> None:
        """Close once what was written has left.

        A close with unread input would reset the connection and could take the answer away from the client, so such
        input is read and dropped for a while.
        """
        self.closing = True
        self._queue.clear()
        if lingering and not self.transport.is_closing() and self.transport.can_write_eof():
            self.transport.write_eof()
            self._paused_for = 1
            self.resume_reading(1)
            self.runtime.wheel.look(self, self.runtime.now() + LINGER)
        else:
            self.transport.close()

    # -- for the wheel and the listener ----------------------------------------------------------------------------

    def on_timer(self, now: float) -> float:
        """Act on what is due; the time of the next look."""
        return look(self, now)

    def close(self) -> None:
        """Close when idle; a connection with an exchange under way, or a part of its head, closes after it."""
        if self.current is None and not self.head_began_at:
            self.leave()

    def leave(self) -> None:
        """Close a connection without an exchange under way."""
        if not self.closing:
            self.closing = True
            self.transport.close()

    def abort(self) -> None:
        """Close now, whatever is under way."""
        self.transport.abort()


_REFUSALS: Final = {
    "low_version": "HTTP/1.0 is not accepted here",
    "upgrade_failed": "upgrades and tunnels are not accepted here",
    "missing_host_header": "the request has no Host header",
    "request_headers_too_large": "the request head is too large",
}
