"""Opening connections on real sockets, on both loops: each attempt is made or fails, once."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, cast

import pytest
import uvloop

from mizzen.proxy.io.connect import Address, Connector, _Attempt

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

    def data_received(self, data: bytes) -> None:
        self.outcomes.append(data.decode())

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
        await asyncio.sleep(1.1)
        return made


def test_a_connection_that_is_made_as_its_time_runs_out_does_not_fail_as_well(run: Run, listening: Address) -> None:
    async def main() -> None:
        loop = HandsOverLate(asyncio.get_running_loop())
        assert (await outcome(listening, 1.0, loop)).outcomes == ["made"]

    run(main)


def test_what_the_peer_says_at_once_is_heard(run: Run) -> None:
    async def main() -> None:
        def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"hello")
            writer.close()

        server = await asyncio.start_server(greet, "127.0.0.1", 0)
        watch = Watch()
        Connector(asyncio.get_running_loop()).connect(lambda: watch, server.sockets[0].getsockname(), 5.0, watch.failed)
        await watch.lost.wait()
        assert watch.outcomes == ["made", "hello"]
        server.close()
        await server.wait_closed()

    run(main)


def test_a_connection_that_is_made_too_late_is_not_made(run: Run) -> None:
    class Transport(asyncio.Transport):
        aborted = False

        def abort(self) -> None:
            self.aborted = True

    async def main() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0) as deadline:
                await asyncio.sleep(1)
        watch, transport = Watch(), Transport()
        _Attempt(lambda: watch, deadline).connection_made(transport)
        assert transport.aborted
        assert watch.outcomes == []

    run(main)


class ClosesAtOnce(Watch):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast("asyncio.Transport", transport).abort()


def test_a_connection_that_is_closed_at_once_closes_no_other_descriptor(run: Run, listening: Address) -> None:
    async def main() -> None:
        connector = Connector(asyncio.get_running_loop())
        others: list[socket.socket] = []
        for _ in range(20):
            watch = ClosesAtOnce()
            connector.connect(lambda watch=watch: watch, listening, 5.0, watch.failed)  # type: ignore[misc]
            await watch.lost.wait()
            others.append(socket.socket())  # takes the number that became free
            await asyncio.wait(connector._tasks) if connector._tasks else None
        gc.collect()
        for other in others:
            os.fstat(other.fileno())
            other.close()

    run(main)
