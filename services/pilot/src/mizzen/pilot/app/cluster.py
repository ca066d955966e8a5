"""The Kubernetes API as Pilot uses it: two stores to read, and what to write: status, and what Pods trust."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Iterable, Mapping

from prometheus_client import CollectorRegistry, Gauge

from mizzen.api.kinds import KINDS
from mizzen.api.resource import ResourceKey
from mizzen.api.store.contents import Store
from mizzen.kubernetes.client import Client
from mizzen.kubernetes.collections import CONFIG, CREDENTIALS, REGISTRY, WITH_STATUS, Collection
from mizzen.kubernetes.leader import Leader
from mizzen.kubernetes.reflector import Revision
from mizzen.kubernetes.server import Access
from mizzen.kubernetes.store import KubernetesStore
from mizzen.pilot.app.world import World
from mizzen.pilot.ingest.kubernetes.conditions import statements
from mizzen.pilot.ingest.kubernetes.gatewaystatus import gateway_statements
from mizzen.pilot.ingest.kubernetes.status import Statement, StatusWriter
from mizzen.pilot.ingest.kubernetes.trust import TrustKeeper, TrustText
from mizzen.pilot.snapshot.credentials import VALUES
from mizzen.pilot.snapshot.mesh import Mesh

_ISTIO = frozenset(collection.kind.key for collection in WITH_STATUS if collection.kind.is_own)
_GATEWAY_API = frozenset(collection.kind.key for collection in WITH_STATUS) - _ISTIO


class Findings:
    """Statements about a cluster's configuration; the same mapping as long as there is nothing new."""

    def __init__(self, world: World, store: KubernetesStore) -> None:
        self._world = world
        self._store = store
        self._mesh: Mesh | None = None
        self._revisions: dict[ResourceKey, Revision] = {}
        self._stated: Mapping[ResourceKey, Statement] = {}

    def __call__(self) -> Mapping[ResourceKey, Statement]:
        mesh, revisions = self._world.mesh, self._store.revisions(_ISTIO | _GATEWAY_API)
        if mesh is not self._mesh or revisions != self._revisions:
            problems = (*self._store.contents.problems, *mesh.problems)
            istio = {key: revision for key, revision in revisions.items() if key.kind in _ISTIO}
            others = {key: revision for key, revision in revisions.items() if key.kind in _GATEWAY_API}
            self._stated = {
                **statements(istio, problems, mesh.resources),
                **gateway_statements(
                    others,
                    problems,
                    mesh.resources,
                    self._store.refused(_GATEWAY_API),
                    mesh.translation.states,
                    mesh.translation.classes,
                ),
            }
            self._mesh, self._revisions = mesh, revisions
        return self._stated


class Cluster:
    """One API server; to be closed.

    `lease` is the namespace and name of the Lease whose holder writes status, `credentials` are the namespaces whose
    Secrets gateways may name.
    """

    def __init__(
        self, access: Access, lease: tuple[str, str] | None, credentials: Iterable[str], metrics: CollectorRegistry
    ) -> None:
        self.lease = lease
        self.identity = f"{socket.gethostname()}-{os.getpid()}-{os.urandom(4).hex()}"
        """Of this process among Pilots."""
        self.client = Client(access, "mizzen-pilot")
        Gauge(
            "pilot_kubernetes_outages",
            "Collections and other things that the Kubernetes API does not give now.",
            registry=metrics,
        ).set_function(lambda: len(self.client.outages.reasons))
        self._config = KubernetesStore(self.client, CONFIG)
        secrets = (
            Collection(KINDS["Secret"], place, CREDENTIALS, annotations=False, values=VALUES) for place in credentials
        )
        self._registry = KubernetesStore(self.client, (*REGISTRY, *secrets))

    @property
    def stores(self) -> tuple[Store, Store]:
        """Configuration, and the registry of services."""
        return self._config, self._registry

    @property
    def outages(self) -> tuple[str, ...]:
        """Why some of it cannot be read now."""
        return tuple(dict.fromkeys(self.client.outages.reasons.values()))

    async def lead(self, world: World, trust: Iterable[TrustText]) -> None:
        """Write status, and ConfigMaps with these texts, while this process holds the Lease, until cancelled.

        Returns at once where no Lease is named.
        """
        if self.lease is None:
            return
        work = [StatusWriter(self.client, WITH_STATUS, Findings(world, self._config), time.time).run]
        work += [TrustKeeper(self.client, self._namespaces, text).run for text in trust]

        async def all_of_it() -> None:
            async with asyncio.TaskGroup() as tasks:
                for each in work:
                    tasks.create_task(each())

        await Leader(self.client, *self.lease, self.identity, time.time).run(all_of_it)

    def _namespaces(self) -> dict[str, str]:
        """Their uids, by their names."""
        return {key.name: revision.uid for key, revision in self._registry.revisions({"Namespace"}).items()}

    async def close(self) -> None:
        """End all connections."""
        await self.client.close()
