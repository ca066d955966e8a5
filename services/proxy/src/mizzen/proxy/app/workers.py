"""All workers of this proxy, which behave as one."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from itertools import count

from mizzen.proxy.app.configuration import Configuration, Sockets
from mizzen.proxy.app.statistics import add, merge
from mizzen.proxy.app.worker_process import Heard, Inquired
from mizzen.proxy.app.worker_slot import WorkerSlot
from mizzen.proxy.engine.control import Drain, Refused, SetLogLevel, Stats, Update
from mizzen.runtime.errors import StartError

START_SECONDS = 30.0


class Workers:
    """Started, given plans, asked for counters, drained."""

    def __init__(self, number: int, level: str) -> None:
        self._level = level
        self._configuration = Configuration()
        self._serials = count(1)
        self._gone = Stats(0)
        """Counters of workers that are no more."""
        self._slots = [WorkerSlot(lambda: self._configuration, lambda: self._level, self._keep) for _ in range(number)]
        self._tasks: list[asyncio.Task[None]] = []
        self._applying = asyncio.Lock()

    @property
    def level(self) -> str:
        return self._level

    @property
    def pids(self) -> tuple[int, ...]:
        return tuple(slot.pid for slot in self._slots if slot.pid)

    @property
    def restarts(self) -> int:
        return sum(slot.restarts for slot in self._slots)

    def connect(self, heard: Heard, inquired: Inquired | None = None) -> None:
        """Before `start`: who speaks with Mixer for them, and who asks authorizers."""
        for slot in self._slots:
            slot.heard = heard
            slot.inquired = inquired

    async def start(self) -> None:
        """Start them all and wait until they run; raises StartError."""
        self._tasks = [asyncio.create_task(slot.run(), name="worker slot") for slot in self._slots]
        try:
            async with asyncio.timeout(START_SECONDS):
                await asyncio.gather(*(slot.wait_live() for slot in self._slots))
        except TimeoutError:
            await self.stop(0)
            raise StartError(f"the workers did not start within {START_SECONDS:g} s") from None

    async def apply(self, update: Update, sockets: Sockets) -> str:
        """Make all workers run it, or none; the reason why not, or "".

        `sockets` are those of all listeners that there are then; the update's serial is given here.
        """
        async with self._applying:
            before = self._configuration
            update = replace(update, serial=next(self._serials))
            undo = before.inverse(update, next(self._serials))
            self._configuration = before.after(update, sockets)  # what a worker begins with that dies meanwhile
            answers = await asyncio.gather(*(slot.apply(update, sockets) for slot in self._slots))
            refused = [answer.reason for answer in answers if isinstance(answer, Refused)]
            if not refused:
                return ""
            self._configuration = replace(before, serial=undo.serial)
            back = [slot for slot, answer in zip(self._slots, answers, strict=True) if not isinstance(answer, Refused)]
            await asyncio.gather(*(self._take_back(slot, undo) for slot in back))
            return refused[0]

    async def _take_back(self, slot: WorkerSlot, undo: Update) -> None:
        answer = await slot.apply(undo, self._configuration.sockets)
        if isinstance(answer, Refused):
            slot.replace(f"does not take an update back: {answer.reason}")

    async def stats(self) -> Stats:
        """Counters of all workers there are and were."""
        serial = next(self._serials)
        return merge([self._gone, *await asyncio.gather(*(slot.stats(serial) for slot in self._slots))])

    async def set_level(self, level: str) -> None:
        """The workers' log level; also of those to come."""
        self._level = level
        await asyncio.gather(*(slot.tell(SetLogLevel(level)) for slot in self._slots))

    async def drain(self) -> None:
        """Ask clients to leave; new connections are still taken."""
        await asyncio.gather(*(slot.tell(Drain(0.0, stop=False)) for slot in self._slots))

    async def stop(self, grace: float) -> None:
        """Take no more connections, let requests under way finish within `grace` seconds, end all."""
        await asyncio.gather(*(slot.stop(grace) for slot in self._slots))
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _keep(self, stats: Stats) -> None:
        self._gone = add(self._gone, Stats(0, stats.counters, {}, stats.histograms))
