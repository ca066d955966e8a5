"""Blocking calls beside the event loop, in threads that a process need not wait for when it ends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from threading import Thread
from typing import Any, TypeVar

T = TypeVar("T")


class Threads:
    """Runs at most `most` calls at once; a call that was given up keeps its place until it ends."""

    def __init__(self, name: str, most: int) -> None:
        self._name = name
        self._places = asyncio.Semaphore(most)

    async def run(self, call: Callable[[], T]) -> T:
        """Wait for a place, and for the call's result or error. The caller bounds the time."""
        await self._places.acquire()
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()

        def done(setter: Callable[[Any], None], value: object) -> None:
            self._places.release()
            if not future.done():
                setter(value)

        def work() -> None:
            outcome: tuple[Callable[[Any], None], object]
            try:
                outcome = future.set_result, call()
            except (StopIteration, SystemExit, KeyboardInterrupt) as error:  # these mean something to a loop
                outcome = future.set_exception, RuntimeError(f"{type(error).__name__}: {error}")
            except Exception as error:  # noqa: BLE001 - it is the caller's
                outcome = future.set_exception, error
            with suppress(RuntimeError):  # the loop has ended, and nobody waits
                loop.call_soon_threadsafe(done, *outcome)

        Thread(target=work, name=self._name, daemon=True).start()
        return await future
