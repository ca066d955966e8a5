"""Opening connections on real sockets, on both loops: each attempt is made or fails, once."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
import uvloop

from mizzen.proxy.io.connect import Address, Connector

LOOPS = [asyncio.new_event_loop, uvloop.new_event_loop]
Run = Callable[[Callable[[], Awaitable[None]]], None]


@pytest.fixture(params=LOOPS, ids=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Run:
    def run(main: Callable[[], Awaitable[None]]) -> None:
        with asyncio.Runner(loop_factory=request.param) as runner:
            runner.run(_bounded(main))

    return run


async def _bounded(main: Callable[[], Awaitable[None]]) -> None:
    async with asyncio.timeout(10):
        await main()


@pytest.fixture
def listening() -> Iterator[Address]:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        yield sock.getsockname()


class Watch(asyncio.Protocol):
    """Notes how an attempt came out."""

    def __init__(self) -> None:
        self.outcomes: list[str] = []
        self.transport: Any = None
        self.no_delay = 0
        self.lost = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        sock = transport.get_extra_info("socket")
        self.no_delay = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        self.outcomes.append("made")

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.set()

    def failed(self, reason: str, *, timed_out: bool) -> None:
        self.outcomes.append(f"timed out: {reason}" if timed_out else reason)


async def outcome(address: Address, limit: float = 5.0, loop: Any = None) -> Watch:
    """Try, and wait until the attempt is over."""
    watch = Watch()
    connector = Connector(loop or asyncio.get_running_loop())
    connector.connect(lambda: watch, address, limit, watch.failed)
    while connector._tasks:
        await asyncio.wait(connector._tasks)
    if watch.transport is not None:
        watch.transport.abort()
        await watch.lost.wait()
    return watch


def test_a_connection_is_made_and_sends_small_writes_at_once(run: Run, listening: Address) -> None:
    async def main() -> None:
        watch = await outcome(listening)
        assert watch.outcomes == ["made"]
        assert watch.no_delay

    run(main)


@pytest.mark.parametrize("address", [("not an address", 80), (f"{'a' * 64}.example", 80), ("127.0.0.1", 65536)])
def test_an_address_that_cannot_be_used_is_a_failure(run: Run, address: Address) -> None:
    async def main() -> None:
        (reason,) = (await outcome(address)).outcomes
        assert reason.startswith("delayed connect error: ")

    run(main)


def test_nobody_listens(run: Run) -> None:
    async def main() -> None:
        with socket.socket() as bound:
            bound.bind(("127.0.0.1", 0))
            assert (await outcome(bound.getsockname())).outcomes == ["delayed connect error: Connection refused"]

    run(main)


def test_nobody_answers(run: Run) -> None:
    """A full accept queue: the kernel drops what more comes."""

    async def main() -> None:
        with socket.socket() as full:
            full.bind(("127.0.0.1", 0))
            full.listen(0)
            with socket.create_connection(full.getsockname()):
                assert (await outcome(full.getsockname(), 0.05)).outcomes == ["timed out: connection timeout"]

    run(main)


class HandsOverLate:
    """A loop whose `create_connection` makes the connection, and returns when its time is over."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loop, name)

    async def create_connection(self, *args: Any, **more: Any) -> Any:
        made = await self._loop.create_connection(*args, **more)
        await asyncio.sleep(0.1)
        return made


def test_a_connection_that_is_made_as_its_time_runs_out_does_not_fail_as_well(run: Run, listening: Address) -> None:
    async def main() -> None:
        loop = HandsOverLate(asyncio.get_running_loop())
        assert (await outcome(listening, 0.05, loop)).outcomes == ["made"]

    run(main)
