"""One place among the workers: the process in it is replaced when it dies."""

from __future__ import annotations

import asyncio
import logging
import random
import socket
import time
from collections.abc import Callable, Mapping
from contextlib import suppress

from mizzen.proxy.app.worker_process import WorkerProcess
from mizzen.proxy.engine.control import Applied, Drain, Refused, SetLogLevel, Stats, ToWorker, Update
from mizzen.proxy.io.control_channel import PeerGone
from mizzen.runtime.backoff import Backoff

log = logging.getLogger(__name__)

APPLY_SECONDS = 10.0
STATS_SECONDS = 2.0
SETTLED_SECONDS = 10.0
"""A worker that lived so long begins its place's next back-off anew."""

Replay = Callable[[], tuple[Update, Mapping[str, socket.socket]]]
"""Everything that a new worker needs to be like the others."""


class WorkerSlot:
    """Keeps one worker running."""

    def __init__(self, replay: Replay, level: Callable[[], str], retire: Callable[[Stats], None]) -> None:
        self.restarts = 0
        self._replay = replay
        self._level = level
        self._retire = retire
        self._worker: WorkerProcess | None = None
        self._known = 0
        """The serial of the configuration that the worker began with."""
        self._last = Stats(0)
        """What the worker had counted when it was asked last."""
        self._live = asyncio.Event()
        self._stopping = False

    @property
    def pid(self) -> int:
        """0 while there is none."""
        return self._worker.pid if self._worker else 0

    async def run(self) -> None:
        """Until cancelled or stopped: start a worker, and another one when it dies."""
        backoff = Backoff(0.1, 10.0)
        try:
            while True:
                began = time.monotonic()
                reason = await self._run_once()
                if self._stopping:
                    return
                if time.monotonic() - began > SETTLED_SECONDS:
                    backoff.reset()
                pause = backoff.next(random.random())
                log.error("%s; starting another one in %.1f s", reason, pause)
                self.restarts += 1
                await asyncio.sleep(pause)
        finally:
            await self._clear()

    async def wait_live(self) -> None:
        """Return when a worker runs with all configuration."""
        await self._live.wait()

    async def apply(self, update: Update, sockets: Mapping[str, socket.socket]) -> Applied | Refused:
        """Have the worker apply it; a worker that dies meanwhile is replaced by one that begins with it."""
        try:
            async with asyncio.timeout(APPLY_SECONDS):
                while True:
                    await self._live.wait()
                    if self._known >= update.serial or self._worker is None:
                        return Applied(update.serial)
                    with suppress(PeerGone):
                        return await self._worker.update(update, sockets)
                    self._live.clear()
        except TimeoutError:
            if self._worker is not None:
                self._worker.kill()
            return Refused(update.serial, f"worker {self.pid} did not apply it within {APPLY_SECONDS:g} s")

    async def stats(self, serial: int) -> Stats:
        """What the worker counted; when it does not answer, what it said before."""
        if self._worker is not None:
            with suppress(PeerGone, TimeoutError):
                async with asyncio.timeout(STATS_SECONDS):
                    self._last = await self._worker.ask_stats(serial)
        return self._last

    async def tell(self, message: Drain | SetLogLevel) -> None:
        """Send what has no answer."""
        await self._send(message)

    async def stop(self, grace: float) -> None:
        """Let it finish within `grace` seconds, then end it."""
        self._stopping = True
        worker = self._worker
        if worker is None:
            return
        await self._send(Drain(grace, stop=True))
        with suppress(TimeoutError):
            async with asyncio.timeout(grace + 1.0):
                await worker.wait()

    async def _run_once(self) -> str:
        try:
            worker = await WorkerProcess.start()
        except (OSError, PeerGone, TimeoutError) as error:
            return f"a worker could not be started: {error or type(error).__name__}"
        self._worker = worker
        await self._send(SetLogLevel(self._level()))
        try:
            replayed = await self._bring_up(worker)
            if isinstance(replayed, Refused):
                return f"worker {worker.pid} cannot take over the configuration: {replayed.reason}"
            status = await worker.wait()
            return f"worker {worker.pid} ended with status {status}"
        finally:
            await self._clear()

    async def _bring_up(self, worker: WorkerProcess) -> Applied | Refused:
        """Give it all configuration, and what came while it took that over."""
        try:
            async with asyncio.timeout(APPLY_SECONDS):
                while True:
                    update, sockets = self._replay()
                    answer = await worker.update(update, sockets)
                    if isinstance(answer, Refused):
                        return answer
                    if self._replay()[0].serial == update.serial:
                        self._known = update.serial
                        self._live.set()
                        return answer
        except (PeerGone, TimeoutError) as error:
            return Refused(0, str(error) or "no answer")

    async def _send(self, message: ToWorker) -> None:
        if self._worker is not None:
            with suppress(PeerGone):
                await self._worker.send(message)

    async def _clear(self) -> None:
        worker, self._worker = self._worker, None
        self._live.clear()
        if worker is not None:
            self._retire(self._last)
            self._last = Stats(0)
            await worker.close()
