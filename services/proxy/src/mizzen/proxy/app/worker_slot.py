"""One place among the workers: the process in it is replaced when it dies."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable
from contextlib import suppress

from mizzen.proxy.app.configuration import Configuration, Sockets
from mizzen.proxy.app.worker_process import Heard, Inquired, WorkerProcess
from mizzen.proxy.engine.control import Applied, Drain, Refused, SetLogLevel, Stats, ToWorker, Update
from mizzen.proxy.io.control_channel import PeerGone
from mizzen.runtime.backoff import Backoff

log = logging.getLogger(__name__)

APPLY_SECONDS = 10.0
STATS_SECONDS = 2.0
HUNG_SECONDS = 30.0
"""A worker that answered nothing for so long is replaced."""
SETTLED_SECONDS = 10.0
"""A worker that lived so long begins its place's next back-off anew."""


class WorkerSlot:
    """Keeps one worker running."""

    def __init__(
        self, current: Callable[[], Configuration], level: Callable[[], str], retire: Callable[[Stats], None]
    ) -> None:
        """`current` and `level` are what a new worker needs to be like the others."""
        self.restarts = 0
        self.heard: Heard | None = None
        """Who speaks with Mixer for the worker."""
        self.inquired: Inquired | None = None
        """Who asks authorizers for it."""
        self._current = current
        self._level = level
        self._retire = retire
        self._worker: WorkerProcess | None = None
        self._known = 0
        """The serial of the configuration that the worker began with."""
        self._last = Stats(0)
        """What the worker had counted when it was asked last."""
        self._heard_at = 0.0
        self._live = asyncio.Event()
        self._closing: asyncio.Task[None] | None = None
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
                try:
                    reason = await self._run_once()
                except Exception:
                    log.exception("a fault while a worker was started")
                    reason = "there is no worker"
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

    async def apply(self, update: Update, sockets: Sockets) -> Applied | Refused:
        """Have the worker apply it; a worker that dies meanwhile is replaced by one that begins with it."""
        try:
            return await self._apply(update, sockets)
        except TimeoutError:
            reason = f"did not apply it within {APPLY_SECONDS:g} s"
            self.replace(reason)
            return Refused(update.serial, f"worker {self.pid} {reason}")
        except Exception as error:
            log.exception("worker %d could not be given an update", self.pid)
            return Refused(update.serial, f"a fault of this proxy: {type(error).__name__}: {error}")

    def replace(self, reason: str) -> None:
        """End the worker, which makes room for one that begins with all configuration."""
        if self._worker is not None:
            log.error("worker %d %s", self.pid, reason)
            self._worker.kill()

    async def _apply(self, update: Update, sockets: Sockets) -> Applied | Refused:
        async with asyncio.timeout(APPLY_SECONDS):
            while True:
                await self._live.wait()
                if self._known >= update.serial or self._worker is None:
                    return Applied(update.serial)
                with suppress(PeerGone):
                    return await self._worker.update(update, sockets)
                self._live.clear()

    async def stats(self, serial: int) -> Stats:
        """What the worker counted; when it does not answer, what it said before."""
        worker = self._worker
        if worker is None:
            return self._last
        try:
            async with asyncio.timeout(STATS_SECONDS):
                counted = await worker.ask_stats(serial)
        except PeerGone:
            return self._last
        except TimeoutError:
            if self._live.is_set() and not self._stopping and time.monotonic() - self._heard_at > HUNG_SECONDS:
                self.replace(f"has not answered for {HUNG_SECONDS:g} s")
            return self._last
        if worker is self._worker:  # else it was retired with what it had said before
            self._last, self._heard_at = counted, time.monotonic()
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
        worker.heard = self.heard
        worker.inquired = self.inquired
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
        """Give it all configuration, and what became of that while it took it over."""
        given = Configuration()
        try:
            async with asyncio.timeout(APPLY_SECONDS):
                while True:
                    held, given = given.plans, self._current()
                    answer = await worker.update(given.replay(held), given.sockets)
                    if isinstance(answer, Refused):
                        return answer
                    if self._current().serial == given.serial:
                        self._known, self._heard_at = given.serial, time.monotonic()
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
            self._closing = asyncio.create_task(worker.close())
        if self._closing is not None:
            await asyncio.shield(self._closing)  # also when this place is cancelled meanwhile: `run` comes here again
