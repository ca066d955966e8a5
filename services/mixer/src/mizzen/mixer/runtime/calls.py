"""Calling handlers: at once where they answer at once, side by side where they must wait, and never for ever.

A coroutine is driven by hand up to its first wait. Most handlers never wait, and cost neither a task nor a timer so.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Coroutine, Generator
from dataclasses import dataclass
from typing import Any

from mizzen.mixer.runtime.destination import Destination

CALL_SECONDS = 5.0
"""A handler that takes longer has failed."""


class CallFailed(Exception):
    """A handler gave no answer; the message says which, and why."""


class _Begun:
    """A coroutine after its first wait, to be awaited for the rest by the task that began it."""

    __slots__ = ("_coroutine", "_waits_for")

    def __init__(self, coroutine: Coroutine[Any, Any, Any], waits_for: Any) -> None:
        self._coroutine = coroutine
        self._waits_for = waits_for

    def __await__(self) -> Generator[Any, Any, Any]:
        waits_for = self._waits_for
        try:
            while True:
                try:
                    given = yield waits_for
                except BaseException as error:  # noqa: BLE001 - whatever ends the wait is the coroutine's to see
                    waits_for = self._coroutine.throw(error)
                else:
                    waits_for = self._coroutine.send(given)
        except StopIteration as done:
            return done.value


@dataclass(slots=True)
class _Waiting:
    """A call that waits, and where its outcome belongs."""

    place: int
    destination: Destination
    call: Awaitable[Any]
    wanted: type
    started: float


class Calls:
    """Calls of one request, and their outcomes in the order in which they were added.

    An outcome is what the handler gave, or CallFailed. `waiting` tells whether `finish` must be awaited first.
    """

    __slots__ = ("_begun", "_seconds", "_tasks", "outcomes")

    def __init__(self, seconds: float = CALL_SECONDS) -> None:
        self.outcomes: list[Any] = []
        self._seconds = seconds
        self._begun: _Waiting | None = None
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def waiting(self) -> bool:
        """Whether there are calls without an outcome."""
        return self._begun is not None

    def add(self, destination: Destination, call: Coroutine[Any, Any, Any], wanted: type) -> None:
        """Begin a call that should give a `wanted`."""
        started = time.perf_counter()
        refusal = destination.budget.refusal(started)
        if refusal:
            call.close()
            self.outcomes.append(CallFailed(f"{destination.title}: {refusal}"))
            return
        place = len(self.outcomes)
        if self._begun is not None:
            # In a task of its own: two coroutines that wait in one would see each other's time-outs.
            self.outcomes.append(None)
            waiting = _Waiting(place, destination, call, wanted, started)
            self._tasks.append(asyncio.create_task(self._see_through(waiting)))
            return
        try:
            waits_for = call.send(None)
        except StopIteration as done:
            self.outcomes.append(_checked(destination, done.value, wanted, started))
        except asyncio.CancelledError as error:  # something of the handler's own was: this request is not
            self.outcomes.append(_failed(destination, error, started))
        except Exception as error:  # noqa: BLE001 - a handler may raise anything
            self.outcomes.append(_failed(destination, error, started))
        else:
            self.outcomes.append(None)
            self._begun = _Waiting(place, destination, _Begun(call, waits_for), wanted, started)

    async def finish(self) -> None:
        """Wait for the calls that wait, each within its time."""
        begun, self._begun = self._begun, None
        try:
            if begun is not None:
                await self._see_through(begun)
            if self._tasks:
                await asyncio.wait(self._tasks)
        finally:
            for task in self._tasks:
                task.cancel()  # of no effect on those that are done

    async def _see_through(self, waiting: _Waiting) -> None:
        destination, started = waiting.destination, waiting.started
        error: BaseException
        try:
            async with asyncio.timeout(self._seconds):
                value = await waiting.call
            self.outcomes[waiting.place] = _checked(destination, value, waiting.wanted, started)
            return
        except TimeoutError as timeout:
            error = timeout if str(timeout) else TimeoutError(f"no answer within {self._seconds:g} s")
        except asyncio.CancelledError as cancelled:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise  # the request is given up, not a task of the handler's
            error = cancelled
        except Exception as failure:  # noqa: BLE001 - a handler may raise anything
            error = failure
        self.outcomes[waiting.place] = _failed(destination, error, started)


def _checked(destination: Destination, value: Any, wanted: type, started: float) -> Any:
    if not isinstance(value, wanted):
        kind = type(value).__name__
        return _failed(destination, TypeError(f"answered with {kind} instead of {wanted.__name__}"), started)
    destination.succeeded(time.perf_counter() - started)
    return value


def _failed(destination: Destination, error: BaseException, started: float) -> CallFailed:
    now = time.perf_counter()
    text = str(error) or type(error).__name__
    destination.failed(now - started, now, text)
    failure = CallFailed(f"{destination.title}: {text}")
    failure.__cause__ = error
    return failure
