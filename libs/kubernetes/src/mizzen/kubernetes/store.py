"""Collections of an API server as one store."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Container, Iterable
from types import MappingProxyType

from mizzen.api.problem import Problem
from mizzen.api.resource import Resource, ResourceKey
from mizzen.api.store.contents import Contents, OnChange
from mizzen.kubernetes.client import Client
from mizzen.kubernetes.collections import Collection
from mizzen.kubernetes.reflector import Revision
from mizzen.kubernetes.watcher import Watcher


class KubernetesStore:
    """Resources of some collections; the client stays its owner's to close.

    While the API server is away, what was known last stays.
    """

    def __init__(
        self, client: Client, collections: Iterable[Collection], chance: Callable[[], float] = random.random
    ) -> None:
        self._watchers = tuple(Watcher(client, collection, chance) for collection in collections)

    @property
    def contents(self) -> Contents:
        """As of now, for any thread: the loop goes on changing what it is copied from."""
        resources: dict[ResourceKey, Resource] = {}
        problems: list[Problem] = []
        for watcher in self._watchers:
            # Each of these two is one step of the interpreter, which no other thread can interrupt.
            resources.update(watcher.reflector.resources)
            found = list(watcher.reflector.problems.values())
            problems += [problem for each in found for problem in each]
        return Contents(MappingProxyType(resources), tuple(problems))

    def revisions(self, kinds: Container[str]) -> dict[ResourceKey, Revision]:
        """Of all objects of these kinds, the broken ones too."""
        found: dict[ResourceKey, Revision] = {}
        for watcher in self._watchers:
            if watcher.collection.kind.key in kinds:
                found.update(watcher.reflector.revisions)
        return found

    def refused(self, kinds: Container[str]) -> dict[ResourceKey, Resource]:
        """What can be told of the broken objects of these kinds, as they are now."""
        found: dict[ResourceKey, Resource] = {}
        for watcher in self._watchers:
            if watcher.collection.kind.key in kinds:
                found.update(watcher.reflector.refused)
        return found

    async def load(self) -> None:
        """List everything, waiting for the API server as long as it takes."""
        async with asyncio.TaskGroup() as tasks:
            for watcher in self._watchers:
                tasks.create_task(watcher.load())

    async def watch(self, on_change: OnChange) -> None:
        """Follow changes until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for watcher in self._watchers:
                tasks.create_task(watcher.follow(on_change))
