"""What every call goes through: is there room for it, how long may it take, how did it end."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import TypeVar

from mizzen.mixer.server.metrics import MethodMetrics, ServerMetrics
from mizzen.mixer.server.overload import LoadShedder, Mode
from mizzen.mixer.server.refusal import OVERLOADED, Refusal
from mizzen.mixer.status import Code

log = logging.getLogger(__name__)

CALL_SECONDS = 10.0
WARN_SECONDS = 1.0
T = TypeVar("T")


class Calls:
    """Admits calls and looks after them; all servers of a process share one."""

    def __init__(
        self, shedder: LoadShedder, most_running: int, metrics: ServerMetrics, clock: Callable[[], float]
    ) -> None:
        self._shedder = shedder
        self._most_running = most_running
        self._running = 0
        self._clock = clock
        self._warned = -WARN_SECONDS
        self.metrics = metrics

    async def run(self, method: MethodMetrics, cost: int, work: Callable[[], Coroutine[None, None, T]]) -> T:
        """Do the work of a unary call, or refuse it; raises only Refusal and CancelledError."""
        method.started.inc()
        method.received.inc()
        start = self._clock()
        code = Code.CANCELLED
        try:
            answer = await self.perform(cost, work)
            code = Code.OK
        except Refusal as refusal:
            code = refusal.code
            raise
        finally:
            method.seconds.observe(self._clock() - start)
            method.handled(code)
        method.sent.inc()
        return answer

    async def perform(self, cost: int, work: Callable[[], Coroutine[None, None, T]]) -> T:
        """Do what has this cost (in requests) in bounded time; raises only Refusal and CancelledError."""
        start = self._clock()
        try:
            with self._admit(cost):
                return await _bounded(work)
        finally:
            end = self._clock()
            self._shedder.observe(end - start, end)

    @contextmanager
    def _admit(self, cost: int) -> Iterator[None]:
        now = self._clock()
        exceeded = self._shedder.exceeded(cost, now)
        if exceeded and self._shedder.limits.mode is Mode.LOG_ONLY:
            self._warn(f"Would have refused a call: {exceeded}", now)
            exceeded = ""
        if not exceeded and self._running >= self._most_running:
            exceeded = f"{self._running} calls are under way"
        if exceeded:
            self._warn(f"Refused a call: {exceeded}", now)
            self.metrics.throttled.inc()
            raise Refusal(Code.UNAVAILABLE, OVERLOADED)
        self._running += 1
        self.metrics.running.set(self._running)
        try:
            yield
        finally:
            self._running -= 1
            self.metrics.running.set(self._running)

    def _warn(self, message: str, now: float) -> None:
        """Once in a while: who has too much to do should not write a log line for each call as well."""
        if now - self._warned >= WARN_SECONDS:
            self._warned = now
            log.warning("%s", message)


async def _bounded(work: Callable[[], Coroutine[None, None, T]]) -> T:
    deadline = asyncio.timeout(CALL_SECONDS)
    try:
        async with deadline:
            return await work()
    except Refusal:
        raise
    except Exception as error:
        if deadline.expired():
            message = f"not answered within {CALL_SECONDS:g} s"
            raise Refusal(Code.DEADLINE_EXCEEDED, message) from error
        log.exception("A call failed")
        raise Refusal(Code.INTERNAL, "internal error; Mixer's log has the details") from error
