"""An HTTP/1.1 connection to an endpoint. ★ hot.

It carries one exchange at a time and writes what arrives straight to that exchange's client, once per read.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, cast

from mizzen.proxy.base import flags
from mizzen.proxy.codec.chunked import ChunkedReader
from mizzen.proxy.codec.h1 import MAX_HEADERS, check_transfer_encoding, read_length
from mizzen.proxy.codec.h1_read import HeadReader
from mizzen.proxy.codec.h1_write import TRANSFER_ENCODING_CHUNKED, chunk, last_chunk, response_head, service_time
from mizzen.proxy.codec.headers import (
    FramingError,
    Head,
    append,
    leave_connection,
    read_head,
    trailers_to_forward,
)
from mizzen.proxy.io import forward
from mizzen.proxy.io.downstream_h1 import UPSTREAM, WAITING
from mizzen.proxy.io.exchange import CHUNKED, NO_BODY, SIZED, UNTIL_CLOSE, Exchange
from mizzen.proxy.io.respond import CLOSE, KEEP_ALIVE, reply
from mizzen.proxy.io.timers import NEVER

if TYPE_CHECKING:
    from mizzen.proxy.io.pool import Pool

MAX_RESPONSE_HEAD: Final = 60 * 1024
MAX_INFORMATIONAL: Final = 100
"""Responses of status 1xx before the final one."""
REPLAY_LIMIT: Final = 64 * 1024
"""Bytes of a request body kept so that the request can be sent once more."""


class Upstream:
    """One connection of an endpoint's pool. Has the methods of an asyncio.Protocol."""

    __slots__ = (
        "_body_kind",
        "_body_left",
        "_chunked",
        "_complete",
        "_head_complete",
        "_heads",
        "_informational",
        "_keep_alive",
        "_out",
        "_reading_paused",
        "_replay_size",
        "_touched",
        "_x",
        "active_at",
        "generation",
        "look_at",
        "opened_at",
        "pool",
        "requests",
        "runtime",
        "transport",
    )

    def __init__(self, pool: Pool, generation: int) -> None:
        self.pool = pool
        self.generation = generation
        """The pool's, when connecting began."""
        self.runtime = pool.runtime
        self.transport: asyncio.Transport = cast("asyncio.Transport", None)
        self.look_at = NEVER
        self.requests = 0
        self._heads = HeadReader(request=False)
        self._x: Exchange | None = None
        self._out: list[bytes] = []
        """What goes to the client at the end of this read."""
        self._head_complete = False
        self._informational = 0
        self._complete = False
        """The response of the current exchange is read."""
        self._touched = False
        """Bytes of a response to the current exchange have arrived."""
        self._keep_alive = True
        self._body_kind = NO_BODY
        self._body_left = 0
        """Bytes to come of a body with a length."""
        self._chunked: ChunkedReader | None = None
        self._replay_size = 0
        self._reading_paused = False

    # -- connection -------------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.opened_at = self.active_at = self.runtime.now()
        self.pool.opened(self)

    def connection_lost(self, exc: Exception | None) -> None:
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

    def eof_received(self) -> None:
        """The endpoint sends no more: close, and `connection_lost` tells what that means."""

    def _end_with_connection(self, x: Exchange) -> None:
        """End of file is the regular end of a response without a length."""
        if not x.http_10:
            x.downstream.write(last_chunk({}))
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
        x = self._x
        if x is None:
            self.close()  # nobody asked: whatever this is must not become the answer to the next request
            return
        self.active_at = self.runtime.now()
        self._touched = True
        out = self._out
        try:
            while data and not self._complete:
                data = self._read_body(x, data) if self._head_complete else self._read_head(x, data)
        except FramingError as error:
            self._fail(x, str(error))
            return
        if data:
            self._keep_alive = False  # bytes after the end of the response must not begin the next one
        if out:
            x.responded = self._head_complete  # after informational responses alone there can be an answer of our own
            x.downstream.transport.write(out[0] if len(out) == 1 else b"".join(out))
            out.clear()
        if self._complete:
            self._x = None
            self._finish(x)

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
            self.transport.write(last_chunk(trailers_to_forward(x.trailers) if x.trailers else {}))

    def abandon(self, x: Exchange) -> None:
        """The exchange is given up; this connection cannot serve another one."""
        self._x = None
        x.upstream = None
        self.transport.abort()

    # -- responses --------------------------------------------------------------------------------------------------

    def _read_head(self, x: Exchange, data: bytes) -> bytes:
        """Put the head for the client into `_out` if it is complete; returns what follows the head."""
        heads = self._heads
        lines = heads.read(data)
        if heads.size > MAX_RESPONSE_HEAD:
            raise FramingError("an oversized head")
        if lines is None:
            return b""
        rest = heads.rest
        first = lines.pop(0)
        version = first[:9]
        if version != b"HTTP/1.1 " and version != b"HTTP/1.0 ":
            raise FramingError("an HTTP version other than 1.0 and 1.1")
        if len(lines) > MAX_HEADERS:
            raise FramingError(f"more than {MAX_HEADERS} headers")
        status = int(first[9:12])
        head = read_head(lines)
        if status < 200:
            self._pass_informational(x, status, head)
            return rest
        kind = self._read_framing(x, status, head)
        options = leave_connection(head)
        self._keep_alive = not options.close and (version == b"HTTP/1.1 " or options.keep_alive)
        if self._chunked is not None and version != b"HTTP/1.1 ":
            self._keep_alive = False  # RFC 9112 §6.1: where its body ends is doubtful
        self._head_complete = True
        x.status = status
        x.details = flags.VIA_UPSTREAM
        x.response_started_at = now = self.active_at
        head[b"server"] = x.manager.server
        if x.manager.via:
            append(head, b"via", x.manager.via)
        if b"date" not in head:
            head[b"date"] = self.runtime.date()
        head[b"x-envoy-upstream-service-time"] = service_time(int((now - x.sent_at) * 1000.0))
        edits = x.target.response_edits
        if edits is not None:
            edits.apply(head, x)
        if x.response_edits is not None:
            x.response_edits.apply(head, x)
        if kind == CHUNKED:
            head[b"transfer-encoding"] = TRANSFER_ENCODING_CHUNKED
        if kind == UNTIL_CLOSE or x.downstream.must_close(x):
            x.keep_alive = False
        if not x.keep_alive:
            head[b"connection"] = CLOSE
        elif x.http_10:
            head[b"connection"] = KEEP_ALIVE
        x.response_head = head
        self._out.append(response_head(status, head))
        return rest

    def _read_framing(self, x: Exchange, status: int, head: Head) -> int:
        """Note how the body from the endpoint ends; returns how the one to the client will."""
        if b"transfer-encoding" in head:
            check_transfer_encoding(head[b"transfer-encoding"])
        if x.method == b"HEAD" or status == 204 or status == 304:
            self._heads.body_follows()  # llhttp cannot know that no body follows
            self._complete = True
            self._body_kind = NO_BODY
            if status == 204:
                head.pop(b"content-length", None)  # RFC 9110 §8.6
            return NO_BODY
        if b"content-length" in head:
            self._body_kind = SIZED
            self._body_left = left = read_length(head[b"content-length"])
            if left:
                self._heads.body_follows()
            else:
                self._complete = True
            return SIZED
        self._heads.body_follows()
        if b"transfer-encoding" in head:
            self._body_kind = CHUNKED
            self._chunked = ChunkedReader()
        else:
            self._body_kind = UNTIL_CLOSE
        return UNTIL_CLOSE if x.http_10 else CHUNKED

    def _read_body(self, x: Exchange, data: bytes) -> bytes:
        """Put body for the client into `_out`; returns what follows the body."""
        if self._body_kind == SIZED:
            left = self._body_left
            piece = data[:left]
            self._out.append(piece)
            x.bytes_sent += len(piece)
            self._body_left = left - len(piece)
            self._complete = self._body_left == 0
            return data[left:]
        chunked = self._chunked
        pieces = [data] if chunked is None else chunked.feed(data)
        for piece in pieces:
            x.bytes_sent += len(piece)
            self._out.append(piece if x.http_10 else chunk(piece))
        if chunked is None or not chunked.done:
            return b""
        self._chunked = None
        self._complete = True
        if not x.http_10:
            x.response_trailers = trailers_to_forward(chunked.trailers)
            self._out.append(last_chunk(x.response_trailers))
        return chunked.rest

    def _pass_informational(self, x: Exchange, status: int, head: Head) -> None:
        self._informational += 1
        if status == 101 or status < 100:
            raise FramingError("a status that nobody asked for")
        if self._informational > MAX_INFORMATIONAL:
            raise FramingError("informational responses without end")
        self._heads.body_follows()  # none does, whatever the head says; nor does it say how the connection ends
        leave_connection(head)
        head.pop(b"content-length", None)
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
        self._informational = 0
        if self._keep_alive and x.request_complete and self._body_kind != UNTIL_CLOSE:
            if self._reading_paused:
                self.resume_reading()
            pool.release(self)
        else:
            self.close()
        x.downstream.response_complete(x, now)

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
