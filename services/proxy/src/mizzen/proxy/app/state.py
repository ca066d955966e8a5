"""What the agent knows about itself: what its pages show."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mizzen.proxy.app.delivery import Deliverer
from mizzen.proxy.app.identity.workload import WorkloadIdentity
from mizzen.proxy.app.mixer.hub import MixerHub
from mizzen.proxy.app.settings import Settings
from mizzen.proxy.app.workers import Workers
from mizzen.proxy.io.xds_client import XdsClient
from mizzen.proxy.snapshot.ads_session import AdsSession

ServerState = Literal["LIVE", "DRAINING", "PRE_INITIALIZING"]
"""envoy.admin.v3.ServerInfo.State; its numbers are the places in this order."""


@dataclass(slots=True)
class AgentState:
    """The parts of a running agent."""

    settings: Settings
    session: AdsSession
    workers: Workers
    deliverer: Deliverer
    client: XdsClient
    mixer: MixerHub
    started: float
    """Unix time."""
    identity: WorkloadIdentity | None = None
    draining: bool = False
    _was_ready: bool = False

    @property
    def name(self) -> ServerState:
        if self.draining:
            return "DRAINING"
        self._was_ready = self._was_ready or self._is_ready()
        return "LIVE" if self._was_ready else "PRE_INITIALIZING"

    def _is_ready(self) -> bool:
        """Everything that the first configuration refers to is here and runs."""
        store = self.session.store
        return self.session.ready and store.route_table_names() <= store.kinds["route_table"].keys()
