"""All parts of Mixer put together, and their order of start and end."""

from __future__ import annotations

import asyncio
import logging
from importlib.metadata import version

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector

from mizzen.api.store.watch import FolderStore
from mizzen.mixer.adapters.defaults import DEFAULTS
from mizzen.mixer.adapters.metrics import REGISTRY as ADAPTERS
from mizzen.mixer.app.debug import debug_pages
from mizzen.mixer.app.settings import Settings
from mizzen.mixer.runtime.engine import RuleEngine
from mizzen.mixer.runtime.metrics import EngineCollector
from mizzen.mixer.server.calls import Calls
from mizzen.mixer.server.metrics import ServerMetrics
from mizzen.mixer.server.overload import LoadShedder
from mizzen.mixer.server.policy import Engine
from mizzen.mixer.server.server import MixerServer
from mizzen.runtime.lifecycle import Lifecycle
from mizzen.runtime.monitoring import MonitoringServer

log = logging.getLogger(__name__)


class MixerService:
    """One Mixer. `start`, then `run` until it should end, then `close`."""

    def __init__(self, settings: Settings, engine: Engine, registry: CollectorRegistry) -> None:
        self._settings = settings
        self._engine = engine
        self._not_ready = "the configuration is not loaded"
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=registry)
        registry.register(ADAPTERS)
        clock = asyncio.get_running_loop().time
        calls = Calls(LoadShedder(settings.limits, clock()), settings.max_requests, ServerMetrics(registry), clock)
        self.server = MixerServer(
            engine, calls, max_message_bytes=settings.max_message_bytes, max_streams=settings.max_streams
        )
        self.monitoring = MonitoringServer(
            registry,
            lambda: self._not_ready,
            {"component": "mixer", "version": version("mizzen-mixer")},
            debug_pages(engine),
        )

    async def start(self) -> None:
        """Read the configuration, then serve; raises StartError."""
        await self.monitoring.start(self._settings.monitoring_address)
        await self._engine.load()
        await self.server.start(self._settings.address)
        self._not_ready = ""
        log.info("Serving on %s, monitoring on %s", self.server.address, self.monitoring.address)

    async def run(self) -> None:
        """Follow the configuration until cancelled."""
        await self._engine.watch()

    async def close(self) -> None:
        """Answer what is under way, then let handlers flush: they still get the last reports."""
        self._not_ready = "stopping"
        await self.server.close()
        await self._engine.close()
        await self.monitoring.close()


async def serve(settings: Settings, lifecycle: Lifecycle) -> None:
    """The life of the process: policy from the folder of the settings."""
    DEFAULTS.config = settings.config_dir
    DEFAULTS.registry = settings.registry_dir
    DEFAULTS.prometheus = settings.prometheus_address
    engine = RuleEngine(
        FolderStore(settings.config_dir), settings.default_namespace, longest_validity=settings.longest_validity
    )
    registry = CollectorRegistry()
    registry.register(EngineCollector(engine))
    await live(MixerService(settings, engine, registry), lifecycle)


async def live(mixer: MixerService, lifecycle: Lifecycle) -> None:
    """From start to end; raises StartError."""
    try:
        await mixer.start()
        async with asyncio.TaskGroup() as tasks:
            following = tasks.create_task(mixer.run())
            await lifecycle.wait()
            following.cancel()
    finally:
        await mixer.close()
