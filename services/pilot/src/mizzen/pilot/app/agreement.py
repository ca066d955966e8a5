"""The other Pilots of the same mesh, as far as switching mutual TLS goes."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

from mizzen.kubernetes.client import Client
from mizzen.pilot.app.world import World
from mizzen.pilot.ingest.kubernetes.notices import Notices
from mizzen.pilot.snapshot.agreement import NoReport, Others, Report, Unknown, configuration_of, report, resumed
from mizzen.pilot.snapshot.mesh import Mesh
from mizzen.pilot.snapshot.peerauth import PeerAuthentications
from mizzen.pilot.snapshot.staging import Elsewhere
from mizzen.pilot.xds.connections import Connections
from mizzen.pilot.xds.taken import taken

log = logging.getLogger(__name__)

SUFFIX: Final = "-switching"
"""What the ConfigMap's name adds to that of the Lease."""
RETURN_SECONDS: Final = 30.0
"""How long proxies of a Pilot that was away may take to come back; their retries are that far apart at most."""


class Agreement:
    """`resume` before anything is served, then `run`; `elsewhere` is asked at each step."""

    def __init__(
        self,
        client: Client,
        lease: tuple[str, str],
        name: str,
        world: World,
        connections: Connections,
        clock: Callable[[], float],
    ) -> None:
        """`lease` is what Pilots of one mesh have in common; `name` is this one's."""
        self._world = world
        self._connections = connections
        self._clock = clock
        self._wait_until = 0.0
        self._digest: tuple[bool, PeerAuthentications, str] | None = None
        namespace, shared = lease
        self._notices = Notices(client, (namespace, f"{shared}{SUFFIX}"), name, self._own, clock)

    async def resume(self) -> None:
        """Take up a switch that this Pilot, or one before it, has not ended."""
        texts = await self._notices.load()
        mesh = self._world.mesh
        reports = (each for text in texts.values() if (each := _read(text)) is not None)
        steps = resumed(mesh, self._configuration(mesh), reports)
        if not steps:
            return
        self._wait_until = self._clock() + RETURN_SECONDS
        self._world.use(mesh.with_staging(steps, self._world.new_version()))
        log.info("Mutual TLS of %d ports is being switched; proxies have %g s to come back", len(steps), RETURN_SECONDS)

    async def run(self) -> None:
        """Tell and hear until cancelled."""
        await self._notices.run()

    def elsewhere(self, mesh: Mesh) -> Elsewhere:
        """What the others say."""
        texts = self._notices.others()
        if texts is None:
            return Unknown("what other Pilots say is not known yet")
        if self._clock() < self._wait_until:
            return Unknown("proxies of before the start may not be back yet")
        return Others(self._configuration(mesh), {name: _read(text) for name, text in texts.items()})

    def _own(self) -> str:
        mesh = self._world.mesh
        return report(mesh, self._configuration(mesh), taken(self._connections)).text()

    def _configuration(self, mesh: Mesh) -> str:
        """Made anew when it may be another one."""
        on, peers = mesh.settings.enable_auto_mtls, mesh.peers
        if self._digest is None or self._digest[:2] != (on, peers):
            self._digest = (on, peers, configuration_of(mesh))
        return self._digest[2]


def _read(text: str) -> Report | None:
    try:
        return Report.read(text)
    except NoReport:
        return None
