"""Keeps one reflector up to date over the network."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable

from mizzen.api.resource import ResourceKey
from mizzen.api.store.contents import OnChange
from mizzen.kubernetes.client import FAILURES, ApiError, Client, Event
from mizzen.kubernetes.collections import Collection
from mizzen.kubernetes.objects import Malformed, metadata_of, read_object, read_objects
from mizzen.kubernetes.reflector import NOTHING, Keys, Reflector
from mizzen.runtime.backoff import Backoff

log = logging.getLogger(__name__)

WATCH_SECONDS = (300, 600)
"""A watch lasts this long, chosen at random, so that not all of them end together."""
RETRY_SECONDS = (0.25, 15.0)
_KEEPS_VERSION = frozenset({401, 403, 408, 429})
"""Refusals that say nothing about the version; nor do those from 500 on."""


class Watcher:
    """Lists, then watches, and begins again where it was when a watch ends. `chance` gives numbers in [0, 1)."""

    def __init__(self, client: Client, collection: Collection, chance: Callable[[], float]) -> None:
        self.collection = collection
        self.reflector = Reflector()
        self._client = client
        self._chance = chance
        self._backoff = Backoff(*RETRY_SECONDS)

    async def load(self) -> None:
        """List, as often as it takes."""
        while not self.reflector.loaded:
            try:
                await self._list()
            except FAILURES as error:
                await self._pause(error)

    async def follow(self, on_change: OnChange) -> None:
        """Report changes until cancelled."""
        while True:
            try:
                if self.reflector.version is None:
                    _report(await self._list(), on_change)
                if self.reflector.version is not None:
                    await self._watch(self.reflector.version, on_change)
                elif not self.collection.optional:
                    raise ApiError(404, "NotFound", f"the API server does not serve {self.collection.name}")
                await asyncio.sleep(self._backoff.next(self._chance()))
            except FAILURES as error:
                if _needs_list(error):
                    self.reflector.expired()
                await self._pause(error)

    async def _pause(self, error: Exception) -> None:
        # That a version has expired is ordinary life.
        if not (isinstance(error, ApiError) and error.status == 410):
            self._client.outages.begin(self.collection.title, str(error) or type(error).__name__)
        await asyncio.sleep(self._backoff.next(self._chance()))

    async def _list(self) -> Keys:
        try:
            listing = await self._client.list_all(self.collection)
        except ApiError as error:
            # Gone with its definition, or only an answer of something that is not the API server?
            if error.status != 404 or await self._client.is_served(self.collection):
                raise
            changed = self.reflector.listed((), "")
            self.reflector.expired()
            if changed:
                log.warning("The API server does not serve %s any more", self.collection.name)
            if self.collection.optional:
                self._client.outages.end(self.collection.title)
            return changed
        readings = await asyncio.to_thread(read_objects, self.collection, listing.items)
        changed = self.reflector.listed(readings, listing.version)
        for problem in (problem for reading in readings for problem in reading.problems):
            log.warning("%s", problem)
        self._client.outages.end(self.collection.title)
        return changed

    async def _watch(self, version: str, on_change: OnChange) -> None:
        shortest, longest = WATCH_SECONDS
        seconds = int(shortest + (longest - shortest) * self._chance())
        clock = asyncio.get_running_loop().time
        began = clock()
        async with self._client.watch(self.collection, version, seconds) as events:
            self._client.outages.end(self.collection.title)
            async for event in events:
                self._backoff.reset()
                _report(self._apply(event), on_change)
        if clock() - began > RETRY_SECONDS[1]:
            self._backoff.reset()

    def _apply(self, event: Event) -> Keys:
        if event.type == "BOOKMARK":
            self.reflector.bookmark(str((event.object.get("metadata") or {}).get("resourceVersion", "")))
        elif event.type == "DELETED":
            metadata, version = metadata_of(event.object)
            key = ResourceKey(self.collection.kind.key, metadata.get("namespace", ""), metadata["name"])
            return self.reflector.remove(key, version)
        elif event.type in ("ADDED", "MODIFIED"):
            reading = read_object(self.collection, event.object)
            for problem in reading.problems:
                log.warning("%s", problem)
            return self.reflector.put(reading)
        return NOTHING


def _needs_list(error: Exception) -> bool:
    """Whether it is of no use to ask for a watch from the same version once more."""
    if not isinstance(error, ApiError):
        return isinstance(error, (Malformed, json.JSONDecodeError))  # the same bytes would come again
    return error.too_large or not (error.status in _KEEPS_VERSION or error.status >= 500)


def _report(keys: Keys, on_change: OnChange) -> None:
    if keys:
        on_change(keys)
