"""The Kubernetes API as Mixer uses it: rules, and the Pods that requests come from and go to."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Gauge

from mizzen.api.mixer.kinds import GROUP
from mizzen.api.store.contents import Store
from mizzen.kubernetes.client import Client
from mizzen.kubernetes.collections import CONFIG
from mizzen.kubernetes.server import Access
from mizzen.kubernetes.store import KubernetesStore
from mizzen.mixer.adapters.kubernetesenv.cluster import ClusterPods
from mizzen.mixer.adapters.kubernetesenv.pods import Pods, PodSource

RULES = tuple(collection for collection in CONFIG if collection.kind.group == GROUP)
"""All that Mixer follows there."""


class Cluster:
    """One API server; to be closed. While it is away, the rules that were known last stay in force."""

    def __init__(self, access: Access, metrics: CollectorRegistry) -> None:
        self._client = Client(access, "mizzen-mixer")
        Gauge(
            "mixer_kubernetes_outages",
            "Collections that the Kubernetes API does not give now.",
            registry=metrics,
        ).set_function(lambda: len(self._client.outages.reasons))
        self.rules: Store = KubernetesStore(self._client, RULES)

    @property
    def outages(self) -> tuple[str, ...]:
        """Why some of it cannot be read now."""
        return tuple(dict.fromkeys(self._client.outages.reasons.values()))

    def pods(self, on_change: Callable[[Pods], None]) -> PodSource:
        """For the adapter kubernetesenv."""
        return ClusterPods(self._client, on_change)

    async def close(self) -> None:
        """End all connections."""
        await self._client.close()
