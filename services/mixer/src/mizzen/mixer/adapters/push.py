"""A queue between requests and a back end that is told things: bounded, batched, timed out, its losses counted."""

from __future__ import annotations

import asyncio
import logging
import random
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Generic, TypeVar

from mizzen.mixer.adapter import AdapterError
from mizzen.mixer.adapters import metrics
from mizzen.runtime.backoff import Backoff

log = logging.getLogger(__name__)

CLOSE_SECONDS = 5.0
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Limits:
    """How much waits, and for how long."""

    queue: int = 10_000  # items
    batch: int = 1_000  # weight of what is sent at once
    interval: float = 1.0  # seconds that an item waits for others
    timeout: float | None = 10.0  # seconds for one attempt
    attempts: int = 3  # before a batch is given up


def _one(item: object) -> int:
    return 1


class Pusher(Generic[T]):
    """Takes items without waiting, and sends them in batches from a task of its own.

    A batch goes out when it is full or its first item has waited for `limits.interval`. `weigh` says what an item
    counts towards `limits.batch` (bytes, for example); without it each counts as one.
    """

    def __init__(
        self,
        handler: str,
        send: Callable[[Sequence[T]], Awaitable[None]],
        limits: Limits,
        weigh: Callable[[T], int] = _one,
    ) -> None:
        self._handler = handler
        self._send = send
        self._limits = limits
        self._weigh = weigh
        self._queue: deque[T] = deque()
        self._weight = 0
        self._in_flight = 0
        self._some = asyncio.Event()
        self._enough = asyncio.Event()
        self._closing = False
        self._length = metrics.QUEUED.labels(handler)
        self._sent = metrics.SENT.labels(handler)
        self._task = asyncio.create_task(self._run(), name=f"push of {handler}")

    def put(self, items: Iterable[T]) -> None:
        """Queue items. Raises AdapterError when some were dropped, after queueing the others."""
        full = large = 0
        try:
            for item in items:
                weight = self._weigh(item)
                if weight > self._limits.batch:
                    large += 1
                elif len(self._queue) >= self._limits.queue or self._closing:
                    full += 1
                else:
                    self._queue.append(item)
                    self._weight += weight
        finally:
            self._note_queue()
        if full or large:
            self._drop(full, "full")
            self._drop(large, "large")
            raise AdapterError(f"dropped {full} entries for want of room in the queue, {large} for their size")

    async def close(self) -> None:
        """Send what is queued, for at most `CLOSE_SECONDS`."""
        self._closing = True
        self._some.set()
        self._enough.set()
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                await asyncio.shield(self._task)
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        lost = len(self._queue) + self._in_flight
        if lost:
            log.warning("%s: closed with %d entries unsent", self._handler, lost)
            self._drop(lost, "closing")
        self._length.set(0)

    async def _run(self) -> None:
        while True:
            await self._some.wait()
            if not self._queue:
                return  # closing
            with suppress(TimeoutError):
                async with asyncio.timeout(self._limits.interval):
                    await self._enough.wait()
            batch = self._take()
            self._in_flight = len(batch)
            await self._deliver(batch)
            self._in_flight = 0

    def _take(self) -> list[T]:
        batch: list[T] = []
        weight = 0
        while self._queue:
            next_weight = self._weigh(self._queue[0])
            if batch and weight + next_weight > self._limits.batch:
                break
            weight += next_weight
            batch.append(self._queue.popleft())
        self._weight -= weight
        self._note_queue()
        return batch

    async def _deliver(self, batch: Sequence[T]) -> None:
        backoff = Backoff(base=0.1, maximum=5.0)
        for attempt in range(1, self._limits.attempts + 1):
            try:
                with metrics.backend_call(self._handler):
                    async with asyncio.timeout(self._limits.timeout):
                        await self._send(batch)
            except Exception as error:  # noqa: BLE001 - whatever a back end does, the next batch has its chance
                reason = str(error) or type(error).__name__
                log.warning("%s: attempt %d to send %d entries: %s", self._handler, attempt, len(batch), reason)
            else:
                self._sent.inc(len(batch))
                return
            if attempt < self._limits.attempts:
                await asyncio.sleep(backoff.next(random.random()))
        self._drop(len(batch), "failed")

    def _note_queue(self) -> None:
        self._length.set(len(self._queue))
        if self._closing:
            return
        _set(self._some, bool(self._queue))
        _set(self._enough, self._weight >= self._limits.batch or len(self._queue) >= self._limits.queue)

    def _drop(self, count: int, reason: str) -> None:
        if count:
            metrics.DROPPED.labels(self._handler, reason).inc(count)


def _set(event: asyncio.Event, state: bool) -> None:
    if state:
        event.set()
    else:
        event.clear()
