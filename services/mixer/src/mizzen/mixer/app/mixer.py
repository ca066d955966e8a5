"""All parts of Mixer put together, and their order of start and end."""

from __future__ import annotations

import asyncio
import logging
import os
from functools import partial
from importlib.metadata import version

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector

from mizzen.api.store.contents import Store
from mizzen.api.store.layers import Layers
from mizzen.api.store.watch import FolderStore
from mizzen.identity.callers.door import Door
from mizzen.identity.callers.tokens import TokenVerifier
from mizzen.kubernetes.access import access_to
from mizzen.mixer.adapters.defaults import DEFAULTS
from mizzen.mixer.adapters.metrics import REGISTRY as ADAPTERS
from mizzen.mixer.app.cluster import Cluster
from mizzen.mixer.app.debug import debug_pages
from mizzen.mixer.app.secure import SecurePort
from mizzen.mixer.app.settings import Settings
from mizzen.mixer.runtime.engine import RuleEngine
from mizzen.mixer.runtime.metrics import EngineCollector
from mizzen.mixer.server.calls import Calls
from mizzen.mixer.server.metrics import ServerMetrics
from mizzen.mixer.server.overload import LoadShedder
from mizzen.mixer.server.peer import Watch
from mizzen.mixer.server.policy import Engine
from mizzen.mixer.server.server import MixerServer
from mizzen.runtime.errors import StartError
from mizzen.runtime.lifecycle import Lifecycle
from mizzen.runtime.monitoring import MonitoringServer

log = logging.getLogger(__name__)


class MixerService:
    """One Mixer. `start`, then `run` until it should end, then `close`."""

    def __init__(
        self, settings: Settings, engine: Engine, registry: CollectorRegistry, cluster: Cluster | None = None
    ) -> None:
        self._settings = settings
        self._engine = engine
        self._cluster = cluster
        self._not_ready = "the configuration is not loaded"
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=registry)
        registry.register(ADAPTERS)
        clock = asyncio.get_running_loop().time
        calls = Calls(LoadShedder(settings.limits, clock()), settings.max_requests, ServerMetrics(registry), clock)
        serving = partial(
            MixerServer,
            engine,
            calls,
            max_message_bytes=settings.max_message_bytes,
            max_streams=settings.max_streams,
        )
        self.server: MixerServer | None = serving() if settings.address is not None else None
        self.secure: SecurePort | None = None
        if settings.secure is not None:
            self.secure = SecurePort(settings.secure, serving, Watch(calls.metrics.impostors, clock), registry)
        self._verifier: TokenVerifier | None = None
        tokens = settings.tokens
        door = Door(lambda: tokens.namespace if tokens is not None else "", lambda: self._verifier)
        self.monitoring = MonitoringServer(
            registry,
            self._reason,
            {"component": "mixer", "version": version("mizzen-mixer")},
            door.guard(debug_pages(engine)),
        )

    async def start(self) -> None:
        """Read the configuration, then serve; raises StartError."""
        tokens = self._settings.tokens
        if tokens is not None:
            self._verifier = TokenVerifier.read(tokens.keys, tokens.trust_domain)
        await self.monitoring.start(self._settings.monitoring_address)
        if self.secure is not None:
            self.secure.prepare()
        await self._engine.load()
        if self.server is not None and self._settings.address is not None:
            await self.server.start(self._settings.address)
            log.info("Serving on %s", self.server.address)
        self._not_ready = ""
        log.info("Monitoring on %s", self.monitoring.address)

    async def run(self) -> None:
        """Follow the configuration, and keep the certificate good, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._engine.watch())
            if self.secure is not None:
                tasks.create_task(self.secure.run())

    async def close(self) -> None:
        """Answer what is under way, then let handlers flush: they still get the last reports."""
        self._not_ready = "stopping"
        servers = (server for server in (self.server, self.secure) if server is not None)
        await asyncio.gather(*(server.close() for server in servers))
        await self._engine.close()
        await self.monitoring.close()
        if self._cluster is not None:
            await self._cluster.close()

    def _reason(self) -> str:
        """Why it is not ready; an API server that goes away later makes it no less so."""
        outages = self._cluster.outages if self._cluster is not None and self._not_ready else ()
        missing = self.secure.missing if self.secure is not None and not self._not_ready else ""
        return missing or ": ".join((self._not_ready, *outages))


async def serve(settings: Settings, lifecycle: Lifecycle) -> None:
    """The life of the process: policy from what the settings name; raises StartError."""
    DEFAULTS.config = settings.config_dir
    DEFAULTS.registry = settings.registry_dir
    DEFAULTS.prometheus = settings.prometheus_address
    registry = CollectorRegistry()
    cluster = Cluster(access_to(settings.kubeconfig, os.environ), registry) if settings.kubeconfig else None
    DEFAULTS.pods = cluster.pods if cluster is not None else None
    engine = RuleEngine(
        _rules(settings, cluster), settings.default_namespace, longest_validity=settings.longest_validity
    )
    registry.register(EngineCollector(engine))
    await live(MixerService(settings, engine, registry, cluster), lifecycle)


def _rules(settings: Settings, cluster: Cluster | None) -> Store:
    """The folder first: what stands in it wins over what a cluster has."""
    stores: list[Store] = [FolderStore(settings.config_dir)] if settings.config_dir is not None else []
    if cluster is not None:
        stores.append(cluster.rules)
    return Layers(stores)


async def live(mixer: MixerService, lifecycle: Lifecycle) -> None:
    """From start to end; raises StartError."""
    try:
        if not await lifecycle.until_stopped(mixer.start()):  # it may have to wait for an API server
            return
        async with asyncio.TaskGroup() as tasks:
            following = tasks.create_task(mixer.run())
            await lifecycle.wait()
            following.cancel()
    except BaseExceptionGroup as group:
        failed, others = group.split(StartError)
        if failed is None or others is not None:
            raise
        raise _first(failed) from None  # a port that cannot be opened is no fault of this program
    finally:
        await mixer.close()


def _first(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
