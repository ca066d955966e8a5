"""From changes to pushes: debounce, rebuild, and tell the clients whose configuration may differ."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable

from mizzen.api.resource import ResourceKey
from mizzen.pilot.app.metrics import MeshMetrics
from mizzen.pilot.app.world import World
from mizzen.pilot.generate.affects import affected_types
from mizzen.pilot.generate.typeurls import ENDPOINT, ORDER
from mizzen.pilot.push.debounce import Burst, Debounce, Limits
from mizzen.pilot.push.queue import Push
from mizzen.pilot.snapshot.build import ENDPOINT_KINDS
from mizzen.pilot.snapshot.diff import Change, difference
from mizzen.pilot.snapshot.mesh import Mesh
from mizzen.pilot.snapshot.staging import Steps
from mizzen.pilot.xds.connections import Connection, Connections
from mizzen.pilot.xds.workshop import Workshop

log = logging.getLogger(__name__)


class Pusher:
    """Runs beside the server; `clock` is that of the sessions."""

    def __init__(
        self,
        world: World,
        connections: Connections,
        metrics: MeshMetrics,
        workshop: Workshop,
        clock: Callable[[], float],
        limits: Limits | None = None,
    ) -> None:
        self._workshop = workshop
        self._world = world
        self._connections = connections
        self._metrics = metrics
        self._clock = clock
        self._debounce = Debounce(ENDPOINT_KINDS, limits or Limits())
        self._wake = asyncio.Event()
        self._turn = asyncio.Lock()
        """Only one mesh is in preparation."""
        self.used = asyncio.Event()
        """Set when there is another mesh."""

    def note(self, keys: frozenset[ResourceKey]) -> None:
        """Something changed."""
        for key in keys:
            self._metrics.updates.labels(key.kind).inc()
        self._debounce.add(keys, self._clock())
        self._wake.set()

    async def run(self) -> None:
        """Build and push what `note` was told, until cancelled."""
        while True:
            try:
                async with asyncio.timeout_at(self._debounce.due()):
                    await self._wake.wait()
                    self._wake.clear()
            except TimeoutError:
                burst = self._debounce.take(self._clock())
                if burst is not None:
                    await self.handle(burst)

    async def handle(self, burst: Burst) -> None:
        """Build a mesh with these changes and queue the pushes that they need."""
        async with self._turn:
            old = self._world.mesh
            new, change = await asyncio.to_thread(self._world.prepare, burst.keys)
            concerned = await self._use(old, new, change, burst.started)
        if change:
            full = bool(change.config or change.services or change.settings)
            self._metrics.triggers.labels("config" if full else "endpoint").inc()
            what = f"{len(burst.keys)} resources changed"
            log.info("Version %s: %s, %d of %d clients concerned", new.version, what, concerned, len(self._connections))

    async def switch(self, advance: Callable[[Mesh], Steps]) -> None:
        """Let ports whose mutual TLS is being switched go on, as far as `advance` says of the current mesh."""
        async with self._turn:
            old = self._world.mesh
            steps = advance(old)
            if steps == old.staging:
                return
            new = old.with_staging(steps, self._world.new_version())
            concerned = await self._use(old, new, difference(old, new), self._clock())
        log.info("Version %s: mutual TLS goes a step on, %d clients concerned", new.version, concerned)

    async def _use(self, old: Mesh, new: Mesh, change: Change, started: float) -> int:
        """Make it the current mesh and tell whom it concerns; how many they are."""
        connected = tuple(self._connections)
        pushes = await self._workshop.run(_pushes, connected, change, started, old, new) if change else []
        # From here on without a pause: streams go on with the old mesh until they have taken their push.
        self._world.use(new)
        self.used.set()
        if not change:
            return 0
        everything = Push(started, frozenset(ORDER))
        pushes += [(late, everything) for late in self._connections if late not in connected]
        for connection, push in pushes:
            self._connections.push(connection, push)
        return len(pushes)

    def push_all(self) -> int:
        """Look at everything for every client; how many there are."""
        for connection in self._connections:
            self._connections.push(connection, Push(self._clock(), frozenset(ORDER)))
        return len(self._connections)


def _pushes(
    connections: Iterable[Connection], change: Change, started: float, old: Mesh, new: Mesh
) -> list[tuple[Connection, Push]]:
    """What each client that is concerned has to hear about."""
    found = ((connection, affected(connection, change, started, old, new)) for connection in connections)
    return [(connection, push) for connection, push in found if push.types or push.endpoints]


def affected(connection: Connection, change: Change, started: float, old: Mesh, new: Mesh) -> Push:
    """What of a change may concern a client; everything when that cannot be told."""
    try:
        types = frozenset(affected_types(change, connection.proxy, old, new))
    except Exception:
        log.exception("Cannot tell what concerns %s; looking at everything", connection.id)
        return Push(started, frozenset(ORDER))
    if ENDPOINT not in types or change.services or change.config or change.settings:
        return Push(started, types)
    return Push(started, types - {ENDPOINT}, frozenset(key.hostname for key in change.endpoints))
