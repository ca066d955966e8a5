"""Real worker processes: they apply together, die alone, and count on."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Iterator, Mapping
from types import SimpleNamespace

import pytest

from mizzen.proxy.app import worker_slot
from mizzen.proxy.app.delivery import Deliverer
from mizzen.proxy.app.sockets import ListeningSockets
from mizzen.proxy.app.worker_process import WorkerProcess
from mizzen.proxy.app.workers import Workers
from mizzen.proxy.engine.control import Applied, Refused, Update
from mizzen.proxy.engine.plan import Plan, PlanKind
from mizzen.proxy.snapshot.ads_session import Delivery
from mizzen.proxy.snapshot.store import Held


def delivery(*plans: Plan, removed: tuple[tuple[PlanKind, str], ...] = ()) -> Delivery:
    return Delivery(tuple(Held(plan.name, "1", b"", plan, ()) for plan in plans), removed)


@pytest.fixture
def deliverer(workers: Workers) -> Iterator[Deliverer]:
    sockets = ListeningSockets()
    yield Deliverer(workers, sockets, lambda: 1000.0)
    sockets.close()


async def test_a_change_is_live_when_deliver_returns(deliverer: Deliverer, app: SimpleNamespace) -> None:
    port = app.unused_port()
    assert await deliverer.deliver(delivery(app.table(418), app.listener(port))) == ()
    assert deliverer.listeners.keys() == {"web"}
    assert deliverer.updated == {("listener", "web"): 1000.0, ("route_table", "table"): 1000.0}
    assert {(await app.fetch("127.0.0.1", port)).status for _ in range(8)} == {418}
    await deliverer.deliver(delivery(app.table(204)))
    assert {(await app.fetch("127.0.0.1", port)).status for _ in range(8)} == {204}
    await deliverer.deliver(delivery(removed=(("listener", "web"),)))
    with pytest.raises(ConnectionRefusedError):
        await app.fetch("127.0.0.1", port)
    assert deliverer.updated == {("route_table", "table"): 1000.0}


async def test_dead_workers_are_replaced_and_nothing_is_lost(
    workers: Workers, deliverer: Deliverer, app: SimpleNamespace
) -> None:
    port = app.unused_port()
    await deliverer.deliver(delivery(app.table(418), app.listener(port)))
    for _ in range(6):
        await app.fetch("127.0.0.1", port)
    counted = (await workers.stats()).counters["http", "web", "downstream_rq_total"]
    before = workers.pids
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    # Sent while nobody accepts: the connections wait in the agent's socket.
    answers = await asyncio.gather(*(app.fetch("127.0.0.1", port) for _ in range(4)))
    assert {answer.status for answer in answers} == {418}
    await app.until(lambda: workers.restarts == 2 and len(workers.pids) == 2)
    assert not set(before) & set(workers.pids)
    assert counted == 6
    assert (await workers.stats()).counters["http", "web", "downstream_rq_total"] == 10


async def test_an_update_meets_a_worker_that_just_died(
    workers: Workers, deliverer: Deliverer, app: SimpleNamespace
) -> None:
    port = app.unused_port()
    await deliverer.deliver(delivery(app.table(418), app.listener(port)))
    os.kill(workers.pids[0], signal.SIGKILL)
    assert await deliverer.deliver(delivery(app.table(204))) == ()
    assert {(await app.fetch("127.0.0.1", port)).status for _ in range(8)} == {204}


async def test_what_the_workers_refuse_takes_nothing_else_along(deliverer: Deliverer, app: SimpleNamespace) -> None:
    port = app.unused_port()
    await deliverer.deliver(delivery(app.table(418), app.listener(port)))
    broken = app.table(500, name="broken")
    regex = broken.hosts[0].routes[0].match.path
    object.__setattr__(regex, "kind", "regex")
    object.__setattr__(regex, "value", "(")
    (rejected,) = await deliverer.deliver(delivery(app.table(204), broken))
    assert rejected.resource == "RouteConfiguration broken"
    assert rejected.reason
    assert {(await app.fetch("127.0.0.1", port)).status for _ in range(8)} == {204}


async def test_a_removal_that_is_refused_is_not_taken_for_done(
    workers: Workers, deliverer: Deliverer, app: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    await deliverer.deliver(delivery(app.table(418)))

    async def refuse(update: Update, sockets: object) -> str:
        return "no"

    monkeypatch.setattr(workers, "apply", refuse)
    with pytest.raises(RuntimeError, match="refuse a removal: no"):
        await deliverer.deliver(delivery(removed=(("route_table", "table"),)))
    assert deliverer.updated.keys() == {("route_table", "table")}


async def serving(app: SimpleNamespace, port: int) -> set[int]:
    """The statuses that the workers answer with."""
    return {(await app.fetch("127.0.0.1", port)).status for _ in range(8)}


async def test_a_worker_that_hangs_on_an_update_comes_back_without_it(
    workers: Workers, deliverer: Deliverer, app: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = app.unused_port()
    await deliverer.deliver(delivery(app.table(418), app.listener(port)))
    monkeypatch.setattr(worker_slot, "APPLY_SECONDS", 1.0)
    hanging, other = workers.pids
    os.kill(hanging, signal.SIGSTOP)
    reason = await workers.apply(Update(0, (app.table(204),)), workers._configuration.sockets)
    assert reason == f"worker {hanging} did not apply it within 1 s"
    await app.until(lambda: workers.restarts == 1 and len(workers.pids) == 2)
    os.kill(other, signal.SIGSTOP)  # so that the new one answers
    try:
        assert await serving(app, port) == {418}
    finally:
        os.kill(other, signal.SIGCONT)
    assert await serving(app, port) == {418}


async def test_a_worker_that_does_not_take_an_update_back_is_replaced(
    workers: Workers, deliverer: Deliverer, app: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = app.unused_port()
    await deliverer.deliver(delivery(app.table(418), app.listener(port)))
    refusing, stubborn = workers._slots
    apply = stubborn.apply

    async def refuse(update: Update, sockets: object) -> Refused:
        return Refused(update.serial, "no")

    async def apply_once(update: Update, sockets: Mapping[str, socket.socket]) -> Applied | Refused:
        monkeypatch.setattr(stubborn, "apply", refuse)
        return await apply(update, sockets)

    monkeypatch.setattr(refusing, "apply", refuse)
    monkeypatch.setattr(stubborn, "apply", apply_once)
    assert await workers.apply(Update(0, (app.table(204),)), workers._configuration.sockets) == "no"
    await app.until(lambda: workers.restarts == 1 and len(workers.pids) == 2)
    assert await serving(app, port) == {418}


async def test_a_fault_while_a_worker_is_given_an_update_refuses_it(
    workers: Workers, deliverer: Deliverer, app: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = app.unused_port()
    await deliverer.deliver(delivery(app.table(418), app.listener(port)))
    unsendable = app.table(204)
    object.__setattr__(unsendable, "hosts", lambda: None)  # cannot be pickled
    assert "pickle" in await workers.apply(Update(0, (unsendable,)), workers._configuration.sockets)
    for pid in workers.pids:
        os.kill(pid, signal.SIGKILL)
    assert await serving(app, port) == {418}


async def test_a_fault_while_a_worker_starts_is_not_the_end_of_its_place(
    workers: Workers, deliverer: Deliverer, app: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = app.unused_port()
    await deliverer.deliver(delivery(app.table(418), app.listener(port)))
    start = WorkerProcess.start

    async def stumble() -> WorkerProcess:
        monkeypatch.setattr(WorkerProcess, "start", start)
        raise LookupError("unforeseen")

    monkeypatch.setattr(WorkerProcess, "start", stumble)
    for pid in workers.pids:
        os.kill(pid, signal.SIGKILL)
    await app.until(lambda: workers.restarts >= 3 and len(workers.pids) == 2)
    assert await serving(app, port) == {418}


async def test_a_taken_port_is_reported_and_the_rest_runs(deliverer: Deliverer, app: SimpleNamespace) -> None:
    port = app.unused_port()
    server = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
    taken = server.sockets[0].getsockname()[1]
    plans = (app.table(418), app.listener(taken, "taken"), app.listener(port))
    (rejected,) = await deliverer.deliver(delivery(*plans))
    assert str(rejected) == f"Listener taken: address 127.0.0.1:{taken} is in use"
    assert (await app.fetch("127.0.0.1", port)).status == 418
    server.close()
    await server.wait_closed()
    assert await deliverer.deliver(delivery(app.listener(taken, "taken"))) == ()
    assert (await app.fetch("127.0.0.1", taken)).status == 418


async def test_closed_listeners_stay_closed(deliverer: Deliverer, app: SimpleNamespace) -> None:
    port = app.unused_port()
    await deliverer.deliver(delivery(app.table(418), app.listener(port)))
    await deliverer.close_listeners()
    await deliverer.deliver(delivery(app.listener(port)))
    with pytest.raises(ConnectionRefusedError):
        await app.fetch("127.0.0.1", port)


async def test_stopping_ends_the_processes(app: SimpleNamespace) -> None:
    workers = Workers(1, "WARNING")
    await workers.start()
    (pid,) = workers.pids
    await workers.stop(0.5)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
