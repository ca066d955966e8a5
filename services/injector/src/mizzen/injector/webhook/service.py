"""All parts of the injector put together, and their order of start and end."""

from __future__ import annotations

import asyncio
import logging
import os
from importlib.metadata import version

from prometheus_client import CollectorRegistry, Gauge, GCCollector, PlatformCollector, ProcessCollector

from mizzen.injector.webhook.cluster import Cluster
from mizzen.injector.webhook.files import CertificateFiles, SettingsSource, follow
from mizzen.injector.webhook.server import WebhookServer
from mizzen.injector.webhook.settings import WebhookSettings
from mizzen.injector.webhook.tls import ServedCertificate
from mizzen.injector.webhook.version import follow_version
from mizzen.kubernetes.access import access_to
from mizzen.kubernetes.client import Client
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
        expiry = Gauge(
            "sidecar_injection_certificate_expiry_timestamp_seconds",
            "When the certificate that is served ends.",
            registry=registry,
        )
        expiry.set_function(lambda: self._certificate.expires)
        self._certificate_files: CertificateFiles | None = None
        if settings.kept is None or settings.kept.secret is None:
            self._certificate_files = CertificateFiles(settings.certificate, settings.key, self._certificate)
        self._client: Client | None = None
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
        if self._settings.kubeconfig:
            self._client = Client(access_to(self._settings.kubeconfig, os.environ), "mizzen-injector")
            if kept := self._settings.kept:
                self._cluster = Cluster(self._client, kept, self._certificate, self._source.settings.revision)
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
            if self._client and self._settings.native_sidecars is None:
                tasks.create_task(follow_version(self._client, self._source.cluster_has_native_sidecars))

    async def close(self) -> None:
        """Answer what is under way."""
        self._state = "stopping"
        await self.server.close()
        await self.monitoring.close()
        if self._client:
            await self._client.close()

    def _not_ready(self) -> str:
        if self._state:
            return self._state
        missing = [] if self._certificate.there else ["there is no certificate yet"]
        if self._source.native_sidecars is None:
            missing.append("the version of the cluster is not known yet")
        if missing and self._client:
            missing += dict.fromkeys(self._client.outages.reasons.values())
        return "; ".join(missing)


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
