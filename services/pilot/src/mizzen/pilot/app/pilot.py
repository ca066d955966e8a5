"""All parts of Pilot put together, and their order of start and end."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import time
from collections.abc import Sequence
from importlib.metadata import version

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector

from mizzen.api.store.contents import Store
from mizzen.api.store.watch import FolderStore
from mizzen.identity.callers.door import Door
from mizzen.kubernetes.access import access_to
from mizzen.pilot.app.agreement import Agreement
from mizzen.pilot.app.authority import PilotAuthority
from mizzen.pilot.app.cluster import Cluster
from mizzen.pilot.app.debug import DebugPages
from mizzen.pilot.app.meshconfig import MeshConfigSource
from mizzen.pilot.app.metrics import MeshMetrics
from mizzen.pilot.app.pusher import Pusher
from mizzen.pilot.app.settings import Settings
from mizzen.pilot.app.switch import Switch, nowhere
from mizzen.pilot.app.world import MESH_CONFIG, TOKEN_KEYS, World
from mizzen.pilot.base.meshconfig import MeshConfig
from mizzen.pilot.ingest.keys.keeper import KeyKeeper
from mizzen.pilot.ingest.kubernetes.trust import REVOKED_KEY, REVOKED_NAME, ROOTS_KEY, TrustText
from mizzen.pilot.push.debounce import Limits
from mizzen.pilot.xds.connections import Connections
from mizzen.pilot.xds.metrics import ServingMetrics
from mizzen.pilot.xds.server import DiscoveryServer
from mizzen.pilot.xds.source import FailureLog, MeshSource
from mizzen.pilot.xds.workshop import Workshop
from mizzen.runtime.lifecycle import Lifecycle
from mizzen.runtime.monitoring import MonitoringServer

log = logging.getLogger(__name__)


class Pilot:
    """One control plane. `start`, then `run` until it should end, then `close`."""

    def __init__(self, settings: Settings, stores: Sequence[Store] | None = None, limits: Limits | None = None) -> None:
        self._settings = settings
        registry = CollectorRegistry()
        self._cluster: Cluster | None = None
        if settings.kubeconfig:
            access = access_to(settings.kubeconfig, os.environ)
            self._cluster = Cluster(access, settings.status_lease, settings.credential_namespaces, registry)
        self._stores = _stores(settings, self._cluster) if stores is None else stores
        by_default = settings.authority is not None and settings.authority.certifies_all
        self._mesh_config = MeshConfigSource(settings.mesh_config, MeshConfig(enable_auto_mtls=by_default))
        self._loaded = False
        self._authority: PilotAuthority | None = None
        if settings.authority is not None:
            client = self._cluster.client if self._cluster is not None else None
            self._authority = PilotAuthority(settings.authority, lambda: self.server.address, client)
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=registry)
        clock = asyncio.get_running_loop().time
        mesh_metrics = MeshMetrics(registry)
        self._keys = KeyKeeper(registry, clock)
        self.world = World(self._stores, self._mesh_config, mesh_metrics, time.time, self._keys)
        self.connections = Connections()
        self._workshop = Workshop()
        self.pusher = Pusher(self.world, self.connections, mesh_metrics, self._workshop, clock, limits)
        self._agreement: Agreement | None = None
        if self._cluster is not None and self._cluster.lease is not None:
            client, lease, name = self._cluster.client, self._cluster.lease, self._cluster.identity
            self._agreement = Agreement(client, lease, name, self.world, self.connections, clock)
        elsewhere = self._agreement.elsewhere if self._agreement is not None else nowhere
        self.switch = Switch(self.world, self.connections, self.pusher, clock, elsewhere)
        metrics = ServingMetrics(registry)
        failures = FailureLog(metrics)
        self.server = DiscoveryServer(
            lambda proxy: MeshSource(self.world.mesh, proxy, failures),
            self.connections,
            metrics,
            self._workshop,
            self._authority.port if self._authority is not None else None,
        )
        pages = DebugPages(self.world, self.connections, self.switch, self._workshop, self.pusher.push_all, clock)
        self.monitoring = MonitoringServer(
            registry,
            self._not_ready,
            {"component": "pilot", "version": version("mizzen-pilot")},
            pages.routes(Door(self._own_namespace, lambda: self._authority.verifier if self._authority else None)),
        )

    async def start(self) -> None:
        """Read everything, then serve; raises StartError."""
        await self.monitoring.start(self._settings.monitoring_address)
        self._mesh_config.load()
        for store in self._stores:
            await store.load()
        await asyncio.to_thread(self.world.begin)
        if self.world.mesh.key_sources:
            await self._keys.settle(self.world.mesh.key_sources)
            await asyncio.to_thread(self.world.rebuild, (TOKEN_KEYS,))
        if self._agreement is not None:
            await self._agreement.resume()
        self.pusher.used.set()  # the first mesh is one too
        if self._authority is not None:
            self.server.add(await self._authority.prepare(self._mesh_config.settings))
        await self.server.start(self._settings.xds_address)
        if self._authority is not None:
            await self._authority.start()
        self._loaded = True
        log.info(
            "Serving %d services: xDS on %s, monitoring on %s",
            len(self.world.mesh.services),
            self.server.address,
            self.monitoring.address,
        )
        if not self._mesh_config.settings.enable_auto_mtls:
            log.info("Proxies speak plain text to each other: the mesh config does not say enableAutoMtls: true")

    async def run(self) -> None:
        """Follow changes until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for store in self._stores:
                tasks.create_task(store.watch(self.pusher.note))
            tasks.create_task(self._mesh_config.watch(lambda: self.pusher.note(frozenset({MESH_CONFIG}))))
            tasks.create_task(self._keys.run(lambda: self.pusher.note(frozenset({TOKEN_KEYS}))))
            tasks.create_task(self.pusher.run())
            tasks.create_task(self.switch.run())
            if self._agreement is not None:
                tasks.create_task(self._agreement.run())
            if self._authority is not None:
                tasks.create_task(self._authority.run())
            if self._cluster is not None:
                tasks.create_task(self._cluster.lead(self.world, self._trust()))

    async def close(self) -> None:
        """End streams and servers; proxies keep what they have and come back."""
        self._loaded = False
        if self._authority is not None:
            await self._authority.close()
        await self.server.close()
        await self.monitoring.close()
        if self._cluster is not None:
            await self._cluster.close()
        await asyncio.to_thread(self._workshop.close)

    def _trust(self) -> tuple[TrustText, ...]:
        """What Pods of the cluster are to have; nothing where they get their roots elsewhere."""
        authority, settings = self._authority, self._settings.authority
        if authority is None or settings is None or not settings.namespace:
            return ()
        return (
            TrustText(lambda: authority.roots, settings.roots_name, ROOTS_KEY),
            TrustText(lambda: authority.revocations, REVOKED_NAME, REVOKED_KEY),
        )

    def _own_namespace(self) -> str:
        authority = self._settings.authority
        stated = authority.namespace if authority is not None else ""
        return stated or self._mesh_config.settings.root_namespace

    def _not_ready(self) -> str:
        if self._loaded:
            return ""
        reasons = self._cluster.outages if self._cluster is not None else ()
        return ": ".join(("the configuration is not loaded", *reasons))


def _stores(settings: Settings, cluster: Cluster | None) -> list[Store]:
    """Folders first: what stands in them wins over what a cluster has."""
    folders = (settings.config_dir, settings.registry_dir)
    stores: list[Store] = [FolderStore(folder) for folder in folders if folder is not None]
    if cluster is not None:
        stores += cluster.stores
    return stores


async def serve(settings: Settings, lifecycle: Lifecycle) -> None:
    """The life of the process."""
    pilot = Pilot(settings)
    try:
        if not await lifecycle.until_stopped(pilot.start()):  # it may have to wait for an API server
            return
        gc.collect()
        gc.freeze()  # most of the first mesh lives on in the next ones: the collector need not walk it
        async with asyncio.TaskGroup() as tasks:
            following = tasks.create_task(pilot.run())
            await lifecycle.wait()
            following.cancel()
    finally:
        await pilot.close()
