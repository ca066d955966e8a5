"""An HTTP/1.1 connection from a client. ★ hot: llhttp calls straight into this object.

One exchange is under way at a time. What a client pipelines behind it is parsed, waits in `_queue`, and reading pauses
until the queue is empty; so a queue never holds more than one read's worth of requests.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from typing import TYPE_CHECKING, cast

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser

from mizzen.proxy.base import flags
from mizzen.proxy.base.flags import LocalReply
from mizzen.proxy.codec.h1 import MAX_HEADERS, MAX_QUIET_BYTES, RAW_BODY
from mizzen.proxy.codec.headers import HOP_BY_HOP, FramingError, Head, Noted
from mizzen.proxy.io.connect import address_text
from mizzen.proxy.io.downstream_deadlines import look
from mizzen.proxy.io.exchange import NO_BODY, SIZED, Exchange
from mizzen.proxy.io.forward import abandon, begin
from mizzen.proxy.io.request_head import admit, prepare
from mizzen.proxy.io.respond import reply
from mizzen.proxy.io.timers import NEVER

if TYPE_CHECKING:
    from mizzen.proxy.io.listener import Listener

log = logging.getLogger(__name__)

PIPELINE = 1
WAITING = 2
UPSTREAM = 4
"""Why reading is paused: requests in the queue, a body without a connection, a slow endpoint."""

LINGER = 1.0
"""Seconds in which a client may read our last answer while we throw away what it still sends."""


class _Refused(Exception):
    """Stops the parser: the connection has had its last answer."""


class Downstream(asyncio.Protocol):
    """One client connection: parser callbacks, the queue, the deadlines."""

    __slots__ = (
        "_head",
        "_head_bytes",
        "_noted",
        "_parser",
        "_paused_for",
        "_queue",
        "_quiet_bytes",
        "_raw_left",
        "_read_size",
        "_refused",
        "_serving",
        "_target",
        "active_at",
        "closing",
        "connection_id",
        "current",
        "listener",
        "local_address",
        "look_at",
        "opened_at",
        "parsing",
        "peer_address",
        "peer_host",
        "requests",
        "runtime",
        "transport",
        "write_paused",
    )

    def __init__(self, listener: Listener) -> None:
        self.listener = listener
        self.runtime = listener.runtime
        self.transport: asyncio.Transport = cast("asyncio.Transport", None)
        self.look_at = NEVER
        self.current: Exchange | None = None
        """The exchange that is being answered."""
        self.parsing: Exchange | None = None
        """The exchange whose request is being read; often the current one."""
        self._queue: deque[Exchange] = deque()
        self._parser: HttpRequestParser | None = HttpRequestParser(self)
        self._target = b""
        self._head: Head = []
        self._noted: Noted = {}
        self._head_bytes = 0
        self._quiet_bytes = 0
        self._raw_left = 0
        """Bytes of a long body with a length that need no parser any more."""
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
        self.local_address = address_text(transport.get_extra_info("sockname"))
        self.transport.set_write_buffer_limits(self.listener.buffer_limit)
        self.listener.opened(self)
        self.runtime.wheel.look(self, self.active_at + self.listener.http.idle_timeout)

    def connection_lost(self, exc: Exception | None) -> None:
        self.closing = True
        self._parser = None  # the parser's bound callbacks and this object hold each other
        self.runtime.wheel.forget(self)
        self.listener.closed(self)
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
        parser = self._parser
        if self.closing or parser is None:
            return
        self.active_at = self.runtime.now()
        self._read_size = len(data)
        if self._raw_left:
            self._read_raw(data)
            return
        try:
            parser.feed_data(data)
        except HttpParserUpgrade as upgrade:
            if not self.closing and len(data) > upgrade.args[0]:
                self.data_received(data[upgrade.args[0] :])
        except HttpParserError as error:
            self._broken(error)
        else:
            x = self.parsing
            if x is not None:
                self._mid_message(x)

    def _read_raw(self, data: bytes) -> None:
        """A piece of a long body, without the copy that the parser would make of it."""
        left = self._raw_left
        if len(data) < left:
            self._raw_left = left - len(data)
            self.on_body(data)
            return
        self._raw_left = 0
        self.on_body(data[:left])
        self._parser = HttpRequestParser(self)  # the old one still waits for the body
        self.on_message_complete()
        if len(data) > left:
            self.data_received(data[left:])

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

    # -- parser callbacks -------------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        if self.closing:
            raise _Refused
        self.parsing = Exchange(self, self.active_at)
        self._target = b""
        self._head = []
        self._noted = {}
        self._head_bytes = 0

    def on_url(self, target: bytes) -> None:
        self._target += target

    def on_header(self, name: bytes, value: bytes) -> None:
        low = name.lower()
        noted = self._noted
        if low in noted:
            if low == b"host":
                raise FramingError("more than one Host header")
            noted[low] += b"," + value
        else:
            noted[low] = value
        if low not in HOP_BY_HOP:
            self._head.append((name, value))

    def on_headers_complete(self) -> None:
        x, parser = self.parsing, self._parser
        if x is None or parser is None:
            raise _Refused
        x.head_complete = True
        x.manager = manager = self.listener.http
        x.method = parser.get_method()
        x.head = self._head
        noted = self._noted
        self._quiet_bytes = 0
        self._head = []  # what follows the body are trailers
        self.requests += 1
        x.keep_alive = parser.should_keep_alive()
        # llhttp takes versions it does not know for 1.0, which keeps alive only when Connection says so.
        old = not x.keep_alive or b"connection" in noted
        refusal = admit(x, self._target, noted, parser.get_http_version() if old else "")
        largest = manager.max_request_headers
        if self._head_bytes + self._read_size > largest and _size(self._target, x.head) > largest:
            refusal = flags.HEADERS_TOO_LARGE
        if refusal is not None:
            self.refuse(x, refusal, _REFUSALS[refusal.details])
            raise _Refused
        if x.body_kind == NO_BODY:
            x.request_complete = True
            x.request_ended_at = self.active_at
        else:
            self._noted = {}  # a trailer is not measured by the head
        prepare(x, manager)
        if self.current is None:
            self._start(x)
        else:
            self._queue.append(x)
            self.pause_reading(PIPELINE)

    def on_body(self, data: bytes) -> None:
        x = self.parsing
        if x is None:
            raise _Refused
        self._quiet_bytes = 0
        x.bytes_received += len(data)
        upstream = x.upstream
        if upstream is not None:
            upstream.send_body(x, data)
        elif not x.done:
            if x.waiting_body is None:
                x.waiting_body = []
            x.waiting_body.append(data)
            if x is self.current:
                self.pause_reading(WAITING)

    def on_message_complete(self) -> None:
        x = self.parsing
        self.parsing = None
        if x is None or x.done or x.body_kind == NO_BODY:
            return  # answered already, or complete with its head
        x.request_complete = True
        x.request_ended_at = self.active_at
        if self._head:
            x.trailers = self._head
        if x.upstream is not None:
            x.upstream.end_body(x)
        if x.route.timeout:
            self._start_timeout(x)

    # -- exchanges --------------------------------------------------------------------------------------------------

    def _start(self, x: Exchange) -> None:
        self.current = x
        stats = x.manager.stats
        stats.downstream_rq_total += 1
        stats.downstream_rq_active += 1
        begin(x)
        if x.request_complete and not x.done and x.route.timeout:
            self._start_timeout(x)
        if x.manager.stream_idle_timeout:
            due = self.active_at + x.manager.stream_idle_timeout
            if due < self.look_at:
                self.runtime.wheel.look(self, due)

    def _start_timeout(self, x: Exchange) -> None:
        """The route's timeout runs from the end of the request, as Envoy's does."""
        x.deadline = self.active_at + x.route.timeout
        if x.deadline < self.look_at:
            self.runtime.wheel.look(self, x.deadline)

    def must_close(self, x: Exchange) -> bool:
        """The response of `x` should be the last on this connection."""
        limit = x.manager.max_requests
        return self.runtime.draining or self.listener.draining or (limit > 0 and self.requests >= limit)

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
        while self._queue and self.current is None and not self.closing:
            self._start(self._queue.popleft())
        self._serving = False
        if self.current is not None or self.closing:
            return
        if self._refused is not None:
            refused, local, reason = self._refused
            self._refused = None
            self.refuse(refused, local, reason)
        else:
            self.resume_reading(PIPELINE)

    def _account(self, x: Exchange) -> None:
        x.done = True
        x.ended_at = now = self.active_at
        stats = x.manager.stats
        stats.downstream_rq_active -= 1
        stats.downstream_rq_completed += 1
        stats.statuses.record(x.status)
        stats.downstream_rq_time.record((now - x.started_at) * 1000.0)
        for access_log in x.manager.logs:
            access_log.append(x)

    # -- refusals ---------------------------------------------------------------------------------------------------

    def _mid_message(self, x: Exchange) -> None:
        """A read ended inside a message: bound what it may hold and how long it may take."""
        size = self._read_size
        if not x.head_complete:
            self._head_bytes += size
            manager = self.listener.http
            if self._head_bytes > manager.max_request_headers:
                x.manager = manager
                self.refuse(x, flags.HEADERS_TOO_LARGE, "the request head is too large")
            elif manager.headers_timeout and x.started_at + manager.headers_timeout < self.look_at:
                self.runtime.wheel.look(self, x.started_at + manager.headers_timeout)
            return
        if x.body_kind == SIZED:
            if x.upstream is not None:
                left = int(x.header(b"content-length") or 0) - x.bytes_received
                if left >= RAW_BODY:
                    self._raw_left = left
            return
        self._quiet_bytes += size  # reset by every piece of body
        if self._quiet_bytes > MAX_QUIET_BYTES + _READ_SIZE or len(self._head) > MAX_HEADERS:
            self.refuse(x, flags.CODEC_ERROR, "oversized chunk extensions or trailers")

    def _broken(self, error: HttpParserError) -> None:
        """The parser stopped: the client's fault, unless a callback failed for another reason."""
        cause = error.__context__
        if isinstance(cause, _Refused):
            return
        if cause is not None and not isinstance(cause, FramingError):
            log.error("failure while reading a request", exc_info=cause)
            self.closing = True
            self.transport.abort()
            return
        x = self.parsing
        if x is None or x.done:
            x = Exchange(self, self.active_at)
        x.manager = self.listener.http
        x.manager.stats.downstream_cx_protocol_error += 1
        self.refuse(x, flags.CODEC_ERROR, f"the request cannot be read: {cause or error}")

    def refuse(self, x: Exchange, local: LocalReply, reason: str) -> None:
        """Answer a request that is not forwarded, after the ones before it, and close."""
        x.keep_alive = False
        self.parsing = None
        if self.current is not None and self.current is not x:
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
        """Close when idle; a connection with an exchange under way closes after it."""
        if self.current is None and not self.closing:
            self.closing = True
            self.transport.close()

    def abort(self) -> None:
        """Close now, whatever is under way."""
        self.transport.abort()


def _size(target: bytes, head: Head) -> int:
    return len(target) + sum(len(name) + len(value) + 4 for name, value in head)


_READ_SIZE = 256 * 1024
"""What uvloop reads at most at once."""

_REFUSALS = {
    "low_version": "HTTP/1.0 is not accepted here",
    "upgrade_failed": "upgrades are not accepted here",
    "missing_host_header": "the request has no Host header",
    "request_headers_too_large": "the request head is too large",
}
