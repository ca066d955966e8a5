"""From the start of the event loop to the end of the process."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import uvloop

from mizzen.runtime.errors import StartError

log = logging.getLogger(__name__)


class Lifecycle:
    """Tells a service when to stop.

    The first SIGTERM or SIGINT asks for a graceful end, the second one cancels whatever that waits for.
    """

    def __init__(self) -> None:
        self._stopping = asyncio.Event()
        self._reason = ""

    @property
    def stopping(self) -> bool:
        return self._stopping.is_set()

    @property
    def reason(self) -> str:
        """Why the service stops; empty while it runs."""
        return self._reason

    def stop(self, reason: str) -> None:
        """Ask for the end; the first reason counts."""
        if not self._stopping.is_set():
            self._reason = reason
            self._stopping.set()

    async def wait(self) -> None:
        """Return when the service should stop."""
        await self._stopping.wait()

    async def until_stopped(self, work: Coroutine[Any, Any, None]) -> bool:
        """Do what may take long; give it up when the service should stop. Whether it is done; raises what it does."""
        doing = asyncio.ensure_future(work)
        stopping = asyncio.ensure_future(self.wait())
        try:
            await asyncio.wait((doing, stopping), return_when=asyncio.FIRST_COMPLETED)
            if doing.done():
                doing.result()
            return doing.done()
        finally:
            doing.cancel()
            stopping.cancel()
            await asyncio.gather(doing, stopping, return_exceptions=True)


def run(main: Callable[[Lifecycle], Awaitable[None]]) -> int:
    """Run a service on uvloop until it returns; the exit status: 0, or 1 after a StartError or a second signal."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        try:
            runner.run(_supervise(main))
        except StartError as error:
            log.error("%s", error)
            return 1
        except asyncio.CancelledError:
            log.warning("Stopped without waiting, after a second signal")
            return 1
    return 0


async def _supervise(main: Callable[[Lifecycle], Awaitable[None]]) -> None:
    lifecycle = Lifecycle()
    loop = asyncio.get_running_loop()
    task = asyncio.ensure_future(main(lifecycle))

    def on_signal(number: signal.Signals) -> None:
        if lifecycle.stopping:
            task.cancel()
        else:
            log.info("Stopping on %s", number.name)
            lifecycle.stop(number.name)

    signals = (signal.SIGTERM, signal.SIGINT)
    for number in signals:
        loop.add_signal_handler(number, on_signal, number)
    try:
        await task
    finally:
        for number in signals:
            loop.remove_signal_handler(number)
