"""All parts of the injector put together, and their order of start and end."""

from __future__ import annotations

import asyncio
import logging
from importlib.metadata import version

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector

from mizzen.injector.webhook.files import Certificate, SettingsSource, follow
from mizzen.injector.webhook.server import WebhookServer
from mizzen.injector.webhook.settings import WebhookSettings
from mizzen.runtime.lifecycle import Lifecycle
from mizzen.runtime.monitoring import MonitoringServer

log = logging.getLogger(__name__)


class InjectorService:
    """One injector. `start`, then `follow` its files until it should end, then `close`."""

    def __init__(self, settings: WebhookSettings) -> None:
        self._settings = settings
        self._not_ready = "starting"
        registry = CollectorRegistry()
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=registry)
        self._source = SettingsSource(settings.files, native_sidecars=settings.native_sidecars)
        self._certificate = Certificate(settings.certificate, settings.key)
        self.server = WebhookServer(lambda: self._source.settings, registry)
        self.monitoring = MonitoringServer(
            registry, lambda: self._not_ready, {"component": "injector", "version": version("mizzen-injector")}
        )

    async def start(self) -> None:
        """Read the files, then serve; raises StartError."""
        self._source.load()
        self._certificate.load()
        await self.monitoring.start(self._settings.monitoring_address)
        await self.server.start(self._settings.address, self._certificate.context)
        self._not_ready = ""
        log.info("Serving on %s, monitoring on %s", self.server.address, self.monitoring.address)

    async def follow(self) -> None:
        """Follow changes of the files until cancelled."""
        await follow(self._source, self._certificate)

    async def close(self) -> None:
        """Answer what is under way."""
        self._not_ready = "stopping"
        await self.server.close()
        await self.monitoring.close()


async def serve(settings: WebhookSettings, lifecycle: Lifecycle) -> None:
    """The life of the process."""
    service = InjectorService(settings)
    try:
        await service.start()
        async with asyncio.TaskGroup() as tasks:
            following = tasks.create_task(service.follow())
            await lifecycle.wait()
            following.cancel()
    finally:
        await service.close()
