"""One ADS stream: its requests and pushes go into a session, the session's responses go out."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from typing import Any

import grpc

from mizzen.pilot.push.queue import Push
from mizzen.pilot.xds.connections import Connection, Connections
from mizzen.pilot.xds.messages import DeltaRequest, Response, SotwRequest
from mizzen.pilot.xds.metrics import ServingMetrics, short_name
from mizzen.pilot.xds.rules import Verdict
from mizzen.pilot.xds.session import Source, TooManyNames
from mizzen.pilot.xds.wire import (
    PROXY_STATUS,
    read_delta,
    read_proxy_status,
    read_sotw,
    write_delta,
    write_sotw,
)
from mizzen.pilot.xds.workshop import Workshop

log = logging.getLogger(__name__)

MAX_WAITING_REQUESTS = 32
"""More than a client ever has open; beyond it the client is not read from until some are answered."""
WRITE_SECONDS = 60.0
"""How long a client may leave a response unread."""

Written = tuple[Response, bytes]
"""A response, and as it goes on the wire."""


class Stream:
    """The life of one connection. Requests go before pushes; a slow reader delays nobody but itself."""

    def __init__(
        self,
        connection: Connection,
        connections: Connections,
        source: Callable[[], Source],
        metrics: ServingMetrics,
        workshop: Workshop,
    ) -> None:
        self._workshop = workshop
        self._connection = connection
        self._connections = connections
        self._source = source
        self._known = source()
        """What the client was told of so far: until it has taken its push, its requests are answered from before that,
        or it would get routes to clusters it has not heard of."""
        self._metrics = metrics
        self._inbox: asyncio.Queue[Any] = asyncio.Queue(MAX_WAITING_REQUESTS)
        self._ended = False
        self._pushed_since: float | None = None
        """When the oldest change began that the client has not answered completely."""

    async def run(self, context: Any, first: Any) -> None:
        """Serve until the client leaves; `first` is the request that was read already."""
        self._inbox.put_nowait(first)
        reader = asyncio.ensure_future(self._read(context))
        try:
            await self._serve(context)
        except TooManyNames as error:
            log.warning("Ended the stream of %s: %s", self._connection.id, error)
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, str(error))
        finally:
            reader.cancel()
            await asyncio.gather(reader, return_exceptions=True)

    async def _read(self, context: Any) -> None:
        try:
            while (message := await context.read()) is not grpc.aio.EOF:
                await self._inbox.put(message)
                self._connection.wake.set()
        finally:
            self._ended = True
            self._connection.wake.set()

    async def _serve(self, context: Any) -> None:
        wake = self._connection.wake
        while True:
            wake.clear()
            if not self._connections.has_push(self._connection):
                self._known = self._source()
            if not self._inbox.empty():
                await self._write(context, await self._receive(self._inbox.get_nowait()))
            elif self._ended:
                return
            elif (push := self._connections.take_push(self._connection)) is not None:
                if self._pushed_since is None:
                    self._pushed_since = push.started
                self._known = self._source()
                await self._write(context, await self._workshop.run(self._push, push, self._known, _now()))
            elif not await self._woken():
                await self._write(context, await self._workshop.run(self._advance, self._known, _now()))
            self._note_convergence()

    async def _woken(self) -> bool:
        """False when the session wants to go on without a request or a push."""
        due = self._connection.session.due()
        self._connection.busy = False
        try:
            async with asyncio.timeout_at(due):
                await self._connection.wake.wait()
        except TimeoutError:
            return False
        finally:
            self._connection.busy = True
        return True

    async def _receive(self, message: Any) -> list[Written]:
        if message.type_url == PROXY_STATUS:
            self._note_status(message)
            return []
        request = read_delta(message) if self._connection.session.delta else read_sotw(message)
        verdict, written = await self._workshop.run(self._take, request, self._known, _now())
        if verdict is Verdict.NACK:
            kind = short_name(request.type_url)
            self._metrics.rejects.labels(kind).inc()
            log.warning("%s refused %s: %s", self._connection.id, kind, request.error)
        elif verdict is Verdict.STALE:
            self._metrics.expired_nonces.labels(short_name(request.type_url)).inc()
        return written

    # -- in the workshop: nothing else touches the session while its stream waits for one of these ------------------

    def _take(self, request: SotwRequest | DeltaRequest, source: Source, now: float) -> tuple[Verdict, list[Written]]:
        outcome = self._connection.session.receive(request, source, now)
        return outcome.verdict, self._written(outcome.responses)

    def _push(self, push: Push, source: Source, now: float) -> list[Written]:
        return self._written(self._connection.session.push(push, source, now))

    def _advance(self, source: Source, now: float) -> list[Written]:
        return self._written(self._connection.session.advance(source, now))

    def _written(self, responses: Iterable[Response]) -> list[Written]:
        write = write_delta if self._connection.session.delta else write_sotw
        return [(response, write(response)) for response in responses]

    # ---------------------------------------------------------------------------------------------------------------

    def _note_status(self, message: Any) -> None:
        try:
            self._connection.unsupported = read_proxy_status(message)
        except ValueError as error:
            log.warning("%s: %s", self._connection.id, error)

    def _note_convergence(self) -> None:
        if self._pushed_since is not None and self._connection.session.converged:
            self._metrics.convergence.observe(_now() - self._pushed_since)
            self._pushed_since = None

    async def _write(self, context: Any, written: Iterable[Written]) -> None:
        for response, body in written:
            try:
                async with asyncio.timeout(WRITE_SECONDS):
                    await context.write(body)
            except TimeoutError:
                self._metrics.write_timeouts.inc()
                await context.abort(
                    grpc.StatusCode.DEADLINE_EXCEEDED, f"a response was not read for {WRITE_SECONDS:.0f} s"
                )
            self._metrics.pushes.labels(short_name(response.type_url)).inc()
            log.debug(
                "%s: sent %s %s, %d resources, %d removed",
                self._connection.id,
                short_name(response.type_url),
                response.nonce,
                len(response.resources),
                len(response.removed),
            )


def _now() -> float:
    """The clock of sessions and of `Push.started`."""
    return asyncio.get_running_loop().time()
