"""A store without files, for tests."""

from __future__ import annotations

import asyncio
from types import MappingProxyType

from mizzen.api.resource import Resource, ResourceKey
from mizzen.api.store.contents import Contents, OnChange


class MemoryStore:
    """Holds what it is told to."""

    def __init__(self, *resources: Resource) -> None:
        self._resources = {resource.key: resource for resource in resources}
        self._listeners: list[OnChange] = []

    @property
    def contents(self) -> Contents:
        return Contents(MappingProxyType(dict(self._resources)))

    async def load(self) -> None:
        """Nothing to do."""

    async def watch(self, on_change: OnChange) -> None:
        """Report changes until cancelled."""
        self._listeners.append(on_change)
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            self._listeners.remove(on_change)

    def put(self, *resources: Resource) -> None:
        """Add or replace."""
        self._resources.update({resource.key: resource for resource in resources})
        self._report(frozenset(resource.key for resource in resources))

    def delete(self, *keys: ResourceKey) -> None:
        """Remove; raises KeyError for what is not there."""
        for key in keys:
            del self._resources[key]
        self._report(frozenset(keys))

    def _report(self, keys: frozenset[ResourceKey]) -> None:
        for listener in self._listeners:
            listener(keys)
