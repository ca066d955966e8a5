"""Leads ports through the steps of switching mutual TLS, at the pace of the proxies concerned."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from mizzen.api.problem import Problem
from mizzen.pilot.app.pusher import Pusher
from mizzen.pilot.app.world import World
from mizzen.pilot.snapshot.mesh import Mesh
from mizzen.pilot.snapshot.staging import NOWHERE, Elsewhere, Place, Step, Steps, advanced, targets, waits_for
from mizzen.pilot.snapshot.uncertified import cut_off
from mizzen.pilot.xds.connections import Connections
from mizzen.pilot.xds.taken import taken

log = logging.getLogger(__name__)

POLL_SECONDS: Final = 0.1
WARN_SECONDS: Final = 10.0
LIMIT_SECONDS: Final = 60.0
"""Then a port that is to be STRICT is so, whichever client is late: who asked for it wants nothing else let in."""


def nowhere(_: Mesh) -> Elsewhere:
    """Of a Pilot that is the only one."""
    return NOWHERE


class Switch:
    """Runs beside the pusher."""

    def __init__(
        self,
        world: World,
        connections: Connections,
        pusher: Pusher,
        clock: Callable[[], float],
        elsewhere: Callable[[Mesh], Elsewhere],
    ) -> None:
        """`clock` is that of the sessions; `elsewhere` tells of the proxies of other Pilots."""
        self._world = world
        self._connections = connections
        self._pusher = pusher
        self._clock = clock
        self._elsewhere = elsewhere
        self._since: dict[tuple[Place, Step], float] = {}
        self._said: set[str] = set()
        self._uncertified: list[Problem] = []

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._pusher.used.wait()
            self._pusher.used.clear()
            self._warn_of_uncertified()
            if self._world.mesh.staging:
                await self._lead()

    async def _lead(self) -> None:
        while self._world.mesh.staging:
            self._warn_of_late()
            await asyncio.sleep(POLL_SECONDS)
            await self._pusher.switch(self._advanced)
        self._since.clear()
        self._said.clear()
        log.info("Mutual TLS is everywhere as the PeerAuthentications say")

    def cut_off(self) -> list[Problem]:
        """Workloads that are connected, and that nobody can reach."""
        return cut_off(self._world.mesh, (connection.proxy for connection in self._connections))

    def waits(self) -> dict[Place, tuple[str, ...]]:
        """Of each port that is on its way: the proxies that it waits for, and why."""
        return waits_for(self._world.mesh, taken(self._connections), self._elsewhere(self._world.mesh))

    def _advanced(self, mesh: Mesh) -> Steps:
        return advanced(
            mesh,
            taken(self._connections),
            lambda place: self._age(mesh, place) > LIMIT_SECONDS,
            self._elsewhere(mesh),
        )

    def _age(self, mesh: Mesh, place: Place) -> float:
        now = self._clock()
        return now - self._since.setdefault((place, mesh.staging[place]), now)

    def _warn_of_uncertified(self) -> None:
        found = self.cut_off()
        for problem in found:
            if problem not in self._uncertified:
                log.warning("%s", problem)
        self._uncertified = found

    def _warn_of_late(self) -> None:
        mesh = self._world.mesh
        wanted = targets(mesh)
        for place, reasons in self.waits().items():
            if self._age(mesh, place) < WARN_SECONDS:
                continue
            for reason in reasons:
                if reason not in self._said:
                    self._said.add(reason)
                    hosts = ", ".join(sorted(key.hostname for key in mesh.services_at([place])))
                    log.warning("%s (%s) is not %s yet: %s", place, hosts, wanted[place], reason)
