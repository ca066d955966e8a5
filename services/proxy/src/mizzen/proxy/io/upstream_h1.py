"""An HTTP/1.1 connection to an endpoint. ★ hot: llhttp calls straight into this object.

It carries one exchange at a time and writes what arrives straight to that exchange's client, once per read.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, cast

from httptools import HttpParserError, HttpResponseParser

from mizzen.proxy.base import flags
from mizzen.proxy.codec.h1 import MAX_HEADERS, MAX_QUIET_BYTES, RAW_BODY, check_transfer_encoding
from mizzen.proxy.codec.h1_write import chunk, last_chunk, response_head
from mizzen.proxy.codec.headers import (
    DROPPED_IN_RESPONSE,
    USUAL_CONNECTION,
    FramingError,
    Head,
    Noted,
    trailers_to_forward,
    without_nominated,
)
from mizzen.proxy.io import forward
from mizzen.proxy.io.downstream_h1 import UPSTREAM, WAITING
from mizzen.proxy.io.exchange import CHUNKED, NO_BODY, SIZED, UNTIL_CLOSE, Exchange
from mizzen.proxy.io.respond import CLOSE, KEEP_ALIVE, reply
from mizzen.proxy.io.timers import NEVER

if TYPE_CHECKING:
    from mizzen.proxy.io.pool import Pool

log = logging.getLogger(__name__)

TRANSFER_ENCODING_CHUNKED = (b"transfer-encoding", b"chunked")

MAX_RESPONSE_HEAD = 60 * 1024
REPLAY_LIMIT = 64 * 1024
"""Bytes of a request body kept so that the request can be sent once more."""


class Upstream(asyncio.Protocol):
    """One connection of an endpoint's pool."""

    __slots__ = (
        "_body_kind",
        "_complete",
        "_head",
        "_head_complete",
        "_keep_alive",
        "_noted",
        "_out",
        "_parser",
        "_quiet_bytes",
        "_raw_left",
        "_reading_paused",
        "_replay_size",
        "_skip_body",
        "_touched",
        "_x",
        "active_at",
        "look_at",
        "opened_at",
        "pool",
        "requests",
        "runtime",
        "transport",
    )

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.runtime = pool.runtime
        self.transport: asyncio.Transport = cast("asyncio.Transport", None)
        self.look_at = NEVER
        self.requests = 0
        self._parser: HttpResponseParser | None = HttpResponseParser(self)
        self._x: Exchange | None = None
        self._out: list[bytes] = []
        """What goes to the client at the end of this read."""
        self._head: Head = []
        self._noted: Noted = {}
        self._head_complete = False
        self._complete = False
        """The response of the current exchange is read."""
        self._touched = False
        """Bytes of a response to the current exchange have arrived."""
        self._skip_body = False
        self._keep_alive = True
        self._body_kind = NO_BODY
        self._quiet_bytes = 0
        self._raw_left = 0
        """Bytes of a long body with a length that need no parser any more."""
        self._replay_size = 0
        self._reading_paused = False

    # -- connection -------------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.opened_at = self.active_at = self.runtime.now()
        self.pool.opened(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._parser = None
        self.runtime.wheel.forget(self)
        self.pool.closed(self)
        x = self._x
        if x is None:
            return
        self._x = None
        x.upstream = None
        if self._body_kind == UNTIL_CLOSE and self._head_complete and exc is None:
            self._end_with_connection(x)
        elif self._touched:
            forward.leave_endpoint(x, failed=True)
            self.pool.cluster.stats.upstream_cx_destroy_with_active_rq += 1
            reply(x, flags.connection_termination(), f"{self.pool.endpoint.key} closed the connection mid response")
        else:
            forward.connection_lost(x, self.pool, reused=self.requests > 1)

    def _end_with_connection(self, x: Exchange) -> None:
        """End of file is the regular end of a response without a length."""
        if not x.http_10:
            x.downstream.write(last_chunk([]))
        self._finish(x)

    def pause_writing(self) -> None:
        if self._x is not None:
            self._x.downstream.pause_reading(UPSTREAM)

    def resume_writing(self) -> None:
        if self._x is not None:
            self._x.downstream.resume_reading(UPSTREAM)

    def pause_reading(self) -> None:
        """The client is slow."""
        if not self._reading_paused and not self.transport.is_closing():
            self._reading_paused = True
            self.transport.pause_reading()

    def resume_reading(self) -> None:
        """The client has caught up, or has gone."""
        if self._reading_paused and not self.transport.is_closing():
            self._reading_paused = False
            self.transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        x, parser = self._x, self._parser
        if x is None or parser is None:
            self.close()  # nobody asked: whatever this is must not become the answer to the next request
            return
        self.active_at = self.runtime.now()
        self._touched = True
        if self._raw_left:
            self._read_raw(data)
        else:
            try:
                parser.feed_data(data)
            except HttpParserError as error:
                self._broken(x, error)
                return
        out = self._out
        if out:
            x.responded = self._head_complete  # after informational responses alone there can be an answer of our own
            x.downstream.transport.write(out[0] if len(out) == 1 else b"".join(out))
            out.clear()
        elif not self._complete:
            self._bound_quiet(x, len(data))
        if self._complete:
            self._x = None
            self._finish(x)
        elif self._body_kind == SIZED and self._head_complete and not self._raw_left:
            left = int(self._noted[b"content-length"]) - x.bytes_sent
            if left >= RAW_BODY:
                self._raw_left = left

    # -- requests ---------------------------------------------------------------------------------------------------

    def send(self, x: Exchange) -> None:
        """Carry an exchange: write its request, as far as it is known."""
        self._x = x
        x.upstream = self
        x.pool = None
        self.requests += 1
        self._complete = False
        self._touched = False
        self._head_complete = False
        self._quiet_bytes = 0
        x.sent_at = self.active_at = x.downstream.active_at
        self.transport.write(x.request_bytes)
        x.replay = []
        self._replay_size = 0
        if x.body_kind != NO_BODY:
            waiting = x.waiting_body
            if waiting:
                x.waiting_body = None
                for piece in waiting:
                    self.send_body(x, piece)
            if x.request_complete:
                self.end_body(x)
            x.downstream.resume_reading(WAITING)
        if x.downstream.write_paused:
            self.pause_reading()

    def send_body(self, x: Exchange, data: bytes) -> None:
        """Pass on a piece of the request's body."""
        if x.replay is not None:
            self._replay_size += len(data)
            if self._replay_size > REPLAY_LIMIT:
                x.replay = None
            else:
                x.replay.append(data)
        self.transport.write(data if x.body_kind == SIZED else chunk(data))

    def end_body(self, x: Exchange) -> None:
        """Write the end of a chunked body; one with a length ends by itself."""
        if x.body_kind == CHUNKED:
            self.transport.write(last_chunk(trailers_to_forward(x.trailers) if x.trailers else []))

    def abandon(self, x: Exchange) -> None:
        """The exchange is given up; this connection cannot serve another one."""
        self._x = None
        x.upstream = None
        self.transport.abort()

    # -- parser callbacks -------------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        if self._complete:
            raise FramingError("bytes after the end of the response")
        self._head = []
        self._noted = {}
        self._head_complete = False

    def on_header(self, name: bytes, value: bytes) -> None:
        low = name.lower()
        noted = self._noted
        noted[low] = noted[low] + b"," + value if low in noted else value
        if low not in DROPPED_IN_RESPONSE:
            self._head.append((name, value))

    def on_headers_complete(self) -> None:
        parser = self._parser
        x = self._x
        if parser is None or x is None:
            raise FramingError("a response to no request")
        status = parser.get_status_code()
        head = self._head
        self._head = []  # what follows the body are trailers
        if len(head) > MAX_HEADERS:
            raise FramingError(f"more than {MAX_HEADERS} headers")
        if status < 200:
            self._pass_informational(x, status, head)
            return
        noted = self._noted
        self._keep_alive = parser.should_keep_alive()
        if not self._keep_alive and parser.get_http_version() not in ("1.1", "1.0"):
            raise FramingError("an HTTP version other than 1.0 and 1.1")
        kind = self._read_framing(x, status, noted)
        self._head_complete = True
        self._quiet_bytes = 0
        x.status = status
        x.details = flags.VIA_UPSTREAM
        x.response_started_at = self.active_at
        connection = noted.get(b"connection")
        if connection is not None and connection not in USUAL_CONNECTION:
            head = without_nominated(head, connection)
        head.append(x.manager.server)
        if b"date" not in noted:
            head.append(self.runtime.date())
        elapsed = self.active_at - x.sent_at
        head.append((b"x-envoy-upstream-service-time", b"%d" % (elapsed * 1000.0)))
        edits = x.target.response_edits
        if edits is not None:
            edits.apply(head, noted, x)
        if kind == CHUNKED:
            head.append(TRANSFER_ENCODING_CHUNKED)
        if x.downstream.must_close(x) or kind == UNTIL_CLOSE:
            x.keep_alive = False
        if not x.keep_alive:
            head.append(CLOSE)
        elif x.http_10:
            head.append(KEEP_ALIVE)
        x.response_head = head
        self._out.append(response_head(status, head))

    def on_body(self, data: bytes) -> None:
        x = self._x
        if x is None or self._skip_body:
            raise FramingError("a body in the response to HEAD")
        self._quiet_bytes = 0
        x.bytes_sent += len(data)
        if self._body_kind == SIZED or x.http_10:
            self._out.append(data)
        else:
            self._out.append(chunk(data))

    def on_message_complete(self) -> None:
        x = self._x
        if x is None or not self._head_complete or self._skip_body:
            return  # an informational response; a response to HEAD was complete with its head
        self._complete = True
        if self._body_kind == CHUNKED and not x.http_10:
            trailers = x.response_trailers = trailers_to_forward(self._head) if self._head else []
            self._out.append(last_chunk(trailers))

    # -- responses --------------------------------------------------------------------------------------------------

    def _read_framing(self, x: Exchange, status: int, noted: Noted) -> int:
        """Note how the body from the endpoint ends; returns how the one to the client will."""
        if b"transfer-encoding" in noted:
            check_transfer_encoding(noted[b"transfer-encoding"])
        if x.method == b"HEAD":
            # llhttp cannot know that no body follows; this parser has done its work.
            self._skip_body = True
            self._complete = True
            self._body_kind = NO_BODY
            return NO_BODY
        if status in (204, 304):
            self._body_kind = NO_BODY
            return NO_BODY
        if b"content-length" in noted:
            self._body_kind = SIZED
            return SIZED
        self._body_kind = CHUNKED if b"transfer-encoding" in noted else UNTIL_CLOSE
        return UNTIL_CLOSE if x.http_10 else CHUNKED

    def _read_raw(self, data: bytes) -> None:
        """A piece of a long body, without the copy that the parser would make of it."""
        left = self._raw_left
        if len(data) < left:
            self._raw_left = left - len(data)
            self.on_body(data)
            return
        self._raw_left = 0
        self.on_body(data[:left])
        self._complete = True
        self._parser = HttpResponseParser(self)  # the old one still waits for the body
        if len(data) > left:
            self._keep_alive = False  # bytes after the end of the response

    def _pass_informational(self, x: Exchange, status: int, head: Head) -> None:
        if status == 101 or status < 100:
            raise FramingError("a status that nobody asked for")
        if not x.http_10:
            self._out.append(response_head(status, head))

    def _finish(self, x: Exchange) -> None:
        """The response is with the client: account for it, free the connection, tell the client's side."""
        x.upstream = None
        now = self.active_at
        pool = self.pool
        stats = pool.cluster.stats
        stats.upstream_rq_completed += 1
        stats.upstream_rq_active -= 1
        pool.endpoint.active_requests -= 1
        status = x.status
        if status >= 500:
            pool.endpoint.failed_requests += 1
        stats.statuses.record(status)
        stats.upstream_rq_time.record((now - x.sent_at) * 1000.0)
        if self._skip_body:
            self._skip_body = False
            if self._parser is not None:
                self._parser = HttpResponseParser(self)
        if self._keep_alive and x.request_complete and self._body_kind != UNTIL_CLOSE:
            if self._reading_paused:
                self.resume_reading()
            pool.release(self)
        else:
            self.close()
        x.downstream.response_complete(x, now)

    def _bound_quiet(self, x: Exchange, size: int) -> None:
        """Heads, chunk extensions and trailers may not grow without end."""
        self._quiet_bytes += size
        limit = MAX_QUIET_BYTES if self._head_complete else MAX_RESPONSE_HEAD
        if self._quiet_bytes > limit:
            self._fail(x, "an oversized head, chunk extension or trailer section")

    def _broken(self, x: Exchange, error: HttpParserError) -> None:
        cause = error.__context__
        if cause is not None and not isinstance(cause, FramingError):
            log.error("failure while reading a response", exc_info=cause)
        self._fail(x, str(cause or error))

    def _fail(self, x: Exchange, what: str) -> None:
        self._out.clear()
        self.pool.cluster.stats.upstream_cx_protocol_error += 1
        self.abandon(x)
        forward.leave_endpoint(x, failed=True)
        reply(x, flags.UPSTREAM_CODEC_ERROR, f"the response of {self.pool.endpoint.key} cannot be read: {what}")

    # -- idle -------------------------------------------------------------------------------------------------------

    def is_fresh(self, now: float) -> bool:
        """The connection has not been idle for too long."""
        return now - self.active_at < self.pool.idle_timeout

    def on_timer(self, now: float) -> float:
        """Close after too long a rest."""
        if self._x is not None:
            return now + self.pool.idle_timeout
        due = self.active_at + self.pool.idle_timeout
        if due > now:
            return due
        self.pool.cluster.stats.upstream_cx_idle_timeout += 1
        self.close()
        return NEVER

    def close(self) -> None:
        """Leave the pool and close."""
        self.pool.withdraw(self)
        self.transport.close()
