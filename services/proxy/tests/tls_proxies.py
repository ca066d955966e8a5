"""A worker's runtime over real sockets, an application behind it, and clients that speak HTTP over either."""

from __future__ import annotations

import asyncio
import random
import socket
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from mizzen.proxy.engine.control import Update
from mizzen.proxy.engine.match_plan import PathMatch, RouteMatch
from mizzen.proxy.engine.plan import (
    ClusterPlan,
    EndpointPlan,
    EndpointSetPlan,
    Forward,
    HttpPlan,
    ListenerPlan,
    Plan,
    RoutePlan,
    RouteTablePlan,
    TcpPlan,
    VirtualHostPlan,
    WeightedCluster,
)
from mizzen.proxy.engine.tls_plan import PLAINTEXT, SocketsPlan
from mizzen.proxy.io.runtime import Runtime

GET = b"GET / HTTP/1.1\r\nHost: reviews\r\n\r\n"


def http(cluster: str) -> HttpPlan:
    everything = RoutePlan("r", RouteMatch(PathMatch("prefix", "/")), Forward((WeightedCluster(cluster),)))
    table = RouteTablePlan("t", (VirtualHostPlan("v", ("*",), (everything,)),))
    return HttpPlan(cluster, table, tells_reasons=True)


def tcp(cluster: str) -> TcpPlan:
    return TcpPlan(cluster, (WeightedCluster(cluster),))


def static(name: str, port: int, sockets: SocketsPlan = PLAINTEXT, says: Any = frozenset()) -> ClusterPlan:
    return ClusterPlan(
        name,
        "static",
        endpoint_set=EndpointSetPlan(name, (EndpointPlan("127.0.0.1", port, says=says),)),
        connect_timeout=5.0,
        sockets=sockets,
    )


@dataclass
class Proxy:
    """A worker's runtime with one listener."""

    runtime: Runtime
    port: int = 0

    async def apply(self, *plans: Plan, removed: Iterable[Any] = ()) -> None:
        await self.runtime.apply(Update(1, plans, tuple(removed)), {})

    def count(self, metric: str, scope: str = "listener") -> int:
        counters = self.runtime.stats(1).counters
        return sum(value for (of, _, name), value in counters.items() if of == scope and name == metric)


@asynccontextmanager
async def proxy(listener: ListenerPlan, *plans: Plan) -> AsyncIterator[Proxy]:
    runtime = Runtime(asyncio.get_running_loop(), random.random)
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    port = sock.getsockname()[1]
    await runtime.apply(Update(1, (listener, *plans), (), (listener.name,)), {listener.name: sock})
    try:
        yield Proxy(runtime, port)
    finally:
        await runtime.drain(0.0, stop=True)
        await asyncio.sleep(0.01)


@asynccontextmanager
async def application(answer: bytes = b"hello") -> AsyncIterator[tuple[int, list[bytes]]]:
    """An HTTP server; the heads that it got."""
    heads: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                heads.append(await reader.readuntil(b"\r\n\r\n"))
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(answer), answer))
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1], heads
    finally:
        server.close()


async def get(port: int, request: bytes = GET) -> tuple[int, bytes]:
    """Status, and body or head of a refusal, of one request on a connection of its own."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        return await ask(reader, writer, request)
    finally:
        writer.close()
        await writer.wait_closed()


async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes = GET) -> tuple[int, bytes]:
    writer.write(request)
    async with asyncio.timeout(20):
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        body = await reader.readexactly(length)
        status = int(head[9:12])
        return status, body if status == 200 else head
