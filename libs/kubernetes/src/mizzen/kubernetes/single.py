"""One object of the API server, followed by its name: with rights to that object alone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from mizzen.kubernetes.client import FAILURES, ApiError, Client
from mizzen.kubernetes.collections import JSON
from mizzen.kubernetes.watcher import RETRY_SECONDS, WATCH_SECONDS
from mizzen.runtime.backoff import Backoff

OnObject = Callable[[dict[str, Any] | None], None]
"""Called with the object as it is, or None where there is none."""
OnList = Callable[[Sequence[dict[str, Any]]], None]
"""Called with all objects that there are."""


class OnEvent(Protocol):
    """Called with one object that is another now, or that is gone."""

    def __call__(self, item: dict[str, Any], *, exists: bool) -> None: ...


@dataclass(frozen=True, slots=True)
class Single:
    """An object by the path of its collection, in its namespace, and its name.

    RBAC lets a rule with `resourceNames` list and watch where the name is in the field selector.
    """

    path: str
    name: str

    @property
    def field_selector(self) -> str:
        return f"metadata.name={self.name}"

    @property
    def object_path(self) -> str:
        """Where it can be read and written."""
        return f"{self.path}/{self.name}"

    def accept(self, listing: bool) -> str:
        """The Accept header: the whole object."""
        return JSON


async def follow(client: Client, single: Single, on_object: OnObject, chance: Callable[[], float]) -> None:
    """Tell of the object as it is and whenever it changed, until cancelled. `chance` gives numbers in [0, 1).

    While the API server is away nothing is told, and what was told last stays true as far as anybody knows.
    """

    def on_list(items: Sequence[dict[str, Any]]) -> None:
        on_object(items[0] if items else None)

    def on_event(item: dict[str, Any], *, exists: bool) -> None:
        on_object(item if exists else None)

    await follow_all(client, single, on_list, on_event, chance)


async def follow_all(
    client: Client, single: Single, on_list: OnList, on_event: OnEvent, chance: Callable[[], float]
) -> None:
    """The same for all objects of that name, where `path` leads to all namespaces: lists, and what came after."""
    backoff = Backoff(*RETRY_SECONDS)
    while True:
        try:
            listing = await client.list_all(single)
            client.outages.end(single.object_path)
            backoff.reset()
            on_list(listing.items)
            await _watch(client, single, listing.version, on_event)
            await asyncio.sleep(RETRY_SECONDS[0])
        except FAILURES as error:
            # That a version has expired is ordinary life.
            if not (isinstance(error, ApiError) and error.status == 410):
                client.outages.begin(single.object_path, str(error) or type(error).__name__)
            await asyncio.sleep(backoff.next(chance()))


async def _watch(client: Client, single: Single, version: str, on_event: OnEvent) -> None:
    async with client.watch(single, version, WATCH_SECONDS[0]) as events:
        async for event in events:
            if event.type in ("ADDED", "MODIFIED", "DELETED"):
                on_event(event.object, exists=event.type != "DELETED")
