"""What our workers run, in this process, with a kernel that says where each connection was going.

The sockets are real, the configuration is as Pilot generates it for a captured sidecar; only that its listening sockets
are on free ports of 127.0.0.1.
"""

from __future__ import annotations

import asyncio
import random
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from envoy.config.cluster.v3 import cluster_pb2
from simulation.harness.capture import CAPTURING, STALL_SECONDS, Decide, first_bytes, reachable, read_outcome
from simulation.harness.connect import Connect, Outcome
from simulation.harness.instrument import inlined
from simulation.harness.simulate import compiled
from simulation.harness.worker import started
from simulation.harness.world import World

from mizzen.proxy.engine.control import Update
from mizzen.proxy.engine.plan import ListenerPlan
from mizzen.proxy.io.original_dst import Destination, Kernel
from mizzen.proxy.io.runtime import Runtime


class ToldKernel(Kernel):
    """Knows of each client what the test says."""

    def __init__(self) -> None:
        self.destinations: dict[tuple[str, int], Destination] = {}
        """By the client's own address."""

    def original_destination(self, sock: Any) -> Destination | None:
        return self.destinations[sock.getpeername()]

    def is_own_address(self, host: str) -> bool:
        return False


@contextmanager
def captured_mizzen(world: World, *, servers_first: bool) -> Iterator[Decide]:
    """Our engine as the proxy of a world."""
    kernel = ToldKernel()
    ports: dict[str, int] = {}
    with (
        reachable(world, servers_first=servers_first) as clusters,
        started(lambda: _start(world, clusters, kernel, ports)),
    ):
        yield lambda connect: _outcome(connect, kernel, ports[CAPTURING[connect.inbound]])


async def _start(world: World, clusters: list[cluster_pb2.Cluster], kernel: Kernel, ports: dict[str, int]) -> Runtime:
    runtime = Runtime(asyncio.get_running_loop(), random.random, kernel=kernel)
    listeners: list[ListenerPlan] = [compiled(inlined(listener, world)) for listener in world.listeners]
    sockets: dict[str, socket.socket] = {}
    for plan in listeners:
        for name in plan.sockets:
            sockets[name] = socket.create_server(("127.0.0.1", 0))
            ports[name] = sockets[name].getsockname()[1]
    plans = (*listeners, *(compiled(cluster) for cluster in clusters))
    await runtime.apply(Update(1, plans, sockets=tuple(sockets)), sockets)
    return runtime


def _outcome(connect: Connect, kernel: ToldKernel, port: int) -> Outcome:
    with socket.socket() as connection:
        connection.settimeout(STALL_SECONDS)
        connection.bind(("127.0.0.1", 0))
        kernel.destinations[connection.getsockname()] = (connect.address, connect.port)
        connection.connect(("127.0.0.1", port))
        connection.sendall(first_bytes(connect))
        return read_outcome(connection)
