"""A worker's place, with workers that are objects: what they are given when things change meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace

import pytest

from mizzen.proxy.app import worker_slot
from mizzen.proxy.app.configuration import Configuration
from mizzen.proxy.app.worker_process import WorkerProcess
from mizzen.proxy.app.worker_slot import WorkerSlot
from mizzen.proxy.engine.control import Applied, Drain, SetLogLevel, Stats, Update
from mizzen.proxy.io.control_channel import PeerGone


class FakeWorker:
    """Takes updates when `answers` lets it."""

    pid = 7

    def __init__(self) -> None:
        self.updates: list[Update] = []
        self.answers = asyncio.Semaphore(0)
        self.counted = Stats(0)
        self.silent = False
        self.ended = asyncio.Event()

    async def update(self, update: Update, sockets: object) -> Applied:
        self.updates.append(update)
        await self.answers.acquire()
        return Applied(update.serial)

    async def ask_stats(self, serial: int) -> Stats:
        if self.silent:
            await self.ended.wait()
            raise PeerGone("ended")
        return self.counted

    async def send(self, message: Drain | SetLogLevel) -> None:
        return None

    async def wait(self) -> int:
        await self.ended.wait()
        return -9

    def kill(self) -> None:
        self.ended.set()

    async def close(self) -> None:
        self.ended.set()


@pytest.fixture
async def place(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[SimpleNamespace]:
    """A slot, to be started with `begin`; `workers` are those that it started, which should have `configuration`."""
    here = SimpleNamespace(workers=[], configuration=Configuration(1), retired=[])

    async def start() -> FakeWorker:
        here.workers.append(FakeWorker())
        return here.workers[-1]  # type: ignore[no-any-return]

    monkeypatch.setattr(WorkerProcess, "start", start)
    here.slot = WorkerSlot(lambda: here.configuration, lambda: "INFO", here.retired.append)
    here.running = []
    here.begin = lambda: here.running.append(asyncio.create_task(here.slot.run()))
    yield here
    here.running[0].cancel()
    await asyncio.wait(here.running)


async def live(place: SimpleNamespace, app: SimpleNamespace, number: int = 1) -> FakeWorker:
    """The worker, when it has taken everything."""
    await app.until(lambda: len(place.workers) == number)
    worker: FakeWorker = place.workers[-1]
    worker.answers.release()
    await place.slot.wait_live()
    return worker


async def test_what_is_removed_while_a_worker_starts_is_removed_from_it(
    place: SimpleNamespace, app: SimpleNamespace
) -> None:
    first, second = app.table(200, "first"), app.table(200, "second")
    place.configuration = Configuration(2, {("route_table", "first"): first, ("route_table", "second"): second})
    place.begin()
    await app.until(lambda: bool(place.workers and place.workers[0].updates))
    place.configuration = Configuration(3, {("route_table", "first"): first})
    worker = place.workers[0]
    worker.answers.release()
    await live(place, app)
    assert [(update.serial, update.plans, update.removed) for update in worker.updates] == [
        (2, (first, second), ()),
        (3, (first,), (("route_table", "second"),)),
    ]


async def test_counters_that_arrive_after_the_end_are_not_the_next_workers(
    place: SimpleNamespace, app: SimpleNamespace
) -> None:
    place.begin()
    worker = await live(place, app)
    arrived = asyncio.Event()

    async def answer_late(serial: int) -> Stats:
        await arrived.wait()
        return Stats(serial, {("server", "", "x"): 5})

    worker.ask_stats = answer_late  # type: ignore[method-assign]
    asked = asyncio.create_task(place.slot.stats(1))
    await asyncio.sleep(0)
    worker.kill()
    next_worker = await live(place, app, 2)
    arrived.set()
    await asked
    next_worker.kill()
    await live(place, app, 3)
    assert [stats.counters for stats in place.retired] == [{}, {}]


async def test_a_worker_that_hangs_is_replaced(
    place: SimpleNamespace, app: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_slot, "STATS_SECONDS", 0.01)
    monkeypatch.setattr(worker_slot, "HUNG_SECONDS", 0.05)
    place.begin()
    worker = await live(place, app)
    await place.slot.stats(1)
    worker.silent = True
    while not worker.ended.is_set():
        await place.slot.stats(1)
    worker = await live(place, app, 2)
    await place.slot.stats(2)
    assert not worker.ended.is_set()


async def test_a_place_that_ends_while_its_worker_is_closed_sees_that_through(
    place: SimpleNamespace, app: SimpleNamespace
) -> None:
    place.begin()
    worker = await live(place, app)
    closing, closed, go_on = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def close() -> None:
        closing.set()
        await go_on.wait()
        closed.set()

    worker.close = close  # type: ignore[method-assign]
    worker.kill()
    await closing.wait()
    place.running[0].cancel()
    asyncio.get_running_loop().call_soon(go_on.set)
    await asyncio.wait(place.running)
    assert closed.is_set()
