"""Pods of a Kubernetes API server."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import cast

from mizzen.api.kinds import KINDS
from mizzen.api.kubernetes import Pod
from mizzen.api.resource import ResourceKey
from mizzen.kubernetes.client import Client
from mizzen.kubernetes.collections import RUNNING_PODS, Collection
from mizzen.kubernetes.store import KubernetesStore
from mizzen.mixer.adapters.kubernetesenv.pods import PodResource, Pods

log = logging.getLogger(__name__)

PODS = Collection(KINDS["Pod"], field_selector=RUNNING_PODS, annotations=False, containers=True)
WAIT_SECONDS = 10.0
"""For the first list; without it, requests are served as if no Pod were known."""
PACE_SECONDS = 0.2
"""Between two looks at what changed: each makes the index anew."""


class ClusterPods:
    """Gives the Pods that run, and again when some have changed; the client stays its owner's to close."""

    def __init__(self, client: Client, on_change: Callable[[Pods], None]) -> None:
        self._store = KubernetesStore(client, (PODS,))
        self._on_change = on_change
        self._changed = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Give the first ones before returning, if the API server is there."""
        known = asyncio.Event()
        self._tasks = [asyncio.create_task(self._follow(known)), asyncio.create_task(self._tell(known))]
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                await known.wait()
        except TimeoutError:
            log.warning("kubernetesenv: no list of Pods within %g s; going on without", WAIT_SECONDS)

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _follow(self, known: asyncio.Event) -> None:
        await self._store.load()
        self._give()
        known.set()
        await self._store.watch(self._note)

    def _note(self, keys: frozenset[ResourceKey]) -> None:
        self._changed.set()

    async def _tell(self, known: asyncio.Event) -> None:
        await known.wait()
        while True:
            await self._changed.wait()
            self._changed.clear()
            self._give()
            await asyncio.sleep(PACE_SECONDS)

    def _give(self) -> None:
        resources = self._store.contents.resources.values()
        self._on_change(Pods(cast("PodResource", each) for each in resources if isinstance(each.spec, Pod)))
