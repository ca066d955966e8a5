"""Several stores as one."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from mizzen.api.store.contents import Contents, OnChange, Store, merge


class Layers:
    """Resources of all stores; the first store wins where two have the same one."""

    def __init__(self, stores: Sequence[Store]) -> None:
        self._stores = tuple(stores)

    @property
    def contents(self) -> Contents:
        """As of now."""
        return merge(store.contents for store in self._stores)

    async def load(self) -> None:
        """Read every store once, in their order; raises what they raise."""
        for store in self._stores:
            await store.load()

    async def watch(self, on_change: OnChange) -> None:
        """Follow all of them until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for store in self._stores:
                tasks.create_task(store.watch(on_change))
