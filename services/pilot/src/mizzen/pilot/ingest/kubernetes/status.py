"""Writes what Pilot finds out about resources into their status."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from mizzen.api.resource import ResourceKey
from mizzen.kubernetes.client import FAILURES, ApiError, Client
from mizzen.kubernetes.collections import Collection
from mizzen.kubernetes.objects import metadata_of
from mizzen.pilot.ingest.kubernetes.conditions import Statement, status_of

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
PACE_SECONDS = 0.05
"""Between two writes: after a change of everything, the API server has other work too."""
RETRY_SECONDS = 5.0
MANAGER = "mizzen-pilot"
PLACE = "status of resources"

Source = Callable[[], Mapping[ResourceKey, Statement]]


class Written(NamedTuple):
    """The status of an object, by its uid."""

    uid: str
    status: Mapping[str, Any]


NOTHING = Written("", {})


class StatusWriter:
    """Keeps the status of some collections equal to what `source` states. For one Pilot at a time."""

    def __init__(
        self, client: Client, collections: Sequence[Collection], source: Source, wall_clock: Callable[[], float]
    ) -> None:
        self._client = client
        self._collections = {collection.kind.name: collection for collection in collections}
        self._source = source
        self._wall_clock = wall_clock
        self._written: dict[ResourceKey, Written] = {}
        self._done: Mapping[ResourceKey, Statement] | None = None

    async def run(self) -> None:
        """Write what differs, until cancelled; begins with reading what an earlier leader wrote."""
        step = self._load
        try:
            while True:
                if await self._succeeds(step):
                    step = self._write_differences
                    await asyncio.sleep(LOOK_SECONDS)
                else:
                    await asyncio.sleep(RETRY_SECONDS)
        finally:
            self._client.outages.end(PLACE)

    async def _succeeds(self, step: Callable[[], Awaitable[None]]) -> bool:
        try:
            await step()
        except FAILURES as error:
            self._client.outages.begin(PLACE, str(error) or type(error).__name__)
            return False
        self._client.outages.end(PLACE)
        return True

    async def _load(self) -> None:
        self._written.clear()
        self._done = None
        for kind, collection in self._collections.items():
            for item in (await self._client.list_all(collection)).items:
                metadata, _ = metadata_of(item)
                key = ResourceKey(kind, metadata.get("namespace", ""), metadata["name"])
                self._written[key] = Written(str(metadata.get("uid", "")), item.get("status") or {})

    async def _write_differences(self) -> None:
        stated = self._source()
        if stated is self._done:
            return
        for key in self._written.keys() - stated.keys():
            del self._written[key]
        now = datetime.fromtimestamp(self._wall_clock(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        for key, statement in stated.items():
            old = self._written.get(key, NOTHING)
            before = old.status if old.uid == statement.revision.uid else {}
            status = status_of(statement, before, now)
            if any(before.get(part) != value for part, value in status.items()):
                await self._write(key, status)
                self._written[key] = Written(statement.revision.uid, status)
                await asyncio.sleep(PACE_SECONDS)
        self._done = stated

    async def _write(self, key: ResourceKey, status: dict[str, Any]) -> None:
        collection = self._collections[key.kind]
        item = {
            "apiVersion": collection.api_version,
            "kind": key.kind,
            "metadata": {"name": key.name, "namespace": key.namespace},
            "status": status,
        }
        path = f"{collection.object_path(key)}/status?fieldManager={MANAGER}&force=true"
        try:
            await self._client.send("PATCH", path, item, "application/apply-patch+yaml")
        except ApiError as error:
            if error.status in (401, 403, 429) or error.status >= 500:
                raise
            if error.status != 404:  # it was removed meanwhile
                log.warning("Kubernetes API: the status of %s cannot be written: %s", key, error)
