"""A policy that does what a test says, and a server around it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence

import grpc
import pytest
from prometheus_client import CollectorRegistry

from mizzen.attributes.bag import Bag
from mizzen.mixer.adapter import QuotaArgs
from mizzen.mixer.server.calls import Calls
from mizzen.mixer.server.metrics import ServerMetrics
from mizzen.mixer.server.overload import Limits, LoadShedder
from mizzen.mixer.server.server import MixerServer
from mizzen.mixer.verdict import Verdict
from mizzen.runtime.address import Address


class FakePolicy:
    """Gives the verdict it was told, and keeps what it was asked."""

    def __init__(self) -> None:
        self.verdict = Verdict()
        self.error: Exception | None = None
        self.report_reads: frozenset[str] | None = None
        self.gate: asyncio.Event | None = None
        self.checked: list[tuple[Bag, Mapping[str, QuotaArgs], str]] = []
        self.reports: list[list[Bag]] = []
        self.arrived = asyncio.Event()

    async def check(self, bag: Bag, quotas: Mapping[str, QuotaArgs], deduplication_id: str) -> Verdict:
        self.checked.append((bag, quotas, deduplication_id))
        await self._act()
        return self.verdict

    async def report(self, bags: Sequence[Bag]) -> None:
        self.reports.append(list(bags))
        await self._act()

    async def _act(self) -> None:
        self.arrived.set()
        if self.gate is not None:
            await self.gate.wait()
        if self.error is not None:
            raise self.error


@pytest.fixture
async def policy() -> FakePolicy:
    return FakePolicy()


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def make_calls(registry: CollectorRegistry) -> Callable[..., Calls]:
    """Calls with limits; the time is the loop's."""

    def make(limits: Limits | None = None, most_running: int = 100) -> Calls:
        clock = asyncio.get_running_loop().time
        return Calls(LoadShedder(limits or Limits(), clock()), most_running, ServerMetrics(registry), clock)

    return make


@pytest.fixture
async def serve(
    policy: FakePolicy, make_calls: Callable[..., Calls]
) -> AsyncIterator[Callable[..., Awaitable[grpc.aio.Channel]]]:
    """Starts a server and connects to it."""
    opened: list[tuple[MixerServer, grpc.aio.Channel]] = []

    async def start(calls: Calls | None = None, **options: int) -> grpc.aio.Channel:
        server = MixerServer(policy, calls or make_calls(), **options)
        await server.start(Address("127.0.0.1", 0))
        channel = grpc.aio.insecure_channel(str(server.address))
        opened.append((server, channel))
        channel.server = server
        return channel

    yield start
    for server, channel in opened:
        await channel.close()
        await server.close()
