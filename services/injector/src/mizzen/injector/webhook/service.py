"""All parts of the injector put together, and their order of start and end."""

from __future__ import annotations

import asyncio
import logging
import os
from importlib.metadata import version

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector

from mizzen.injector.webhook.cluster import Cluster
from mizzen.injector.webhook.files import CertificateFiles, SettingsSource, follow
from mizzen.injector.webhook.server import WebhookServer
from mizzen.injector.webhook.settings import WebhookSettings
from mizzen.injector.webhook.tls import ServedCertificate
from mizzen.kubernetes.access import access_to
from mizzen.runtime.lifecycle import Lifecycle
from mizzen.runtime.monitoring import MonitoringServer

log = logging.getLogger(__name__)


class InjectorService:
    """One injector. `start`, then `run` until it should end, then `close`."""

    def __init__(self, settings: WebhookSettings) -> None:
        self._settings = settings
        self._state = "starting"
        registry = CollectorRegistry()
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=registry)
        self._source = SettingsSource(settings.files, native_sidecars=settings.native_sidecars)
        self._certificate = ServedCertificate()
        self._certificate_files: CertificateFiles | None = None
        if settings.kept is None or settings.kept.secret is None:
            self._certificate_files = CertificateFiles(settings.certificate, settings.key, self._certificate)
        self._cluster: Cluster | None = None
        self.server = WebhookServer(lambda: self._source.settings, registry)
        self.monitoring = MonitoringServer(
            registry, self._not_ready, {"component": "injector", "version": version("mizzen-injector")}
        )

    async def start(self) -> None:
        """Read the files, then listen; raises StartError."""
        self._source.load()
        if self._certificate_files:
            self._certificate_files.load()
        if kept := self._settings.kept:
            access = access_to(self._settings.kubeconfig, os.environ)
            self._cluster = Cluster(access, kept, self._certificate, self._source.settings.revision)
        await self.monitoring.start(self._settings.monitoring_address)
        await self.server.start(self._settings.address, self._certificate.context)
        self._state = ""
        log.info("Serving on %s, monitoring on %s", self.server.address, self.monitoring.address)

    async def run(self) -> None:
        """Follow changes of the files and of the cluster until cancelled."""
        files = (self._certificate_files,) if self._certificate_files else ()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(follow(self._source, *files))
            if self._cluster:
                tasks.create_task(self._cluster.run())

    async def close(self) -> None:
        """Answer what is under way."""
        self._state = "stopping"
        await self.server.close()
        await self.monitoring.close()
        if self._cluster:
            await self._cluster.close()

    def _not_ready(self) -> str:
        if self._state or self._certificate.there:
            return self._state
        return "; ".join(["there is no certificate yet", *(self._cluster.outages if self._cluster else ())])


async def serve(settings: WebhookSettings, lifecycle: Lifecycle) -> None:
    """The life of the process."""
    service = InjectorService(settings)
    try:
        await service.start()
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(service.run())
            await lifecycle.wait()
            running.cancel()
    finally:
        await service.close()
