"""Writes what Pilot finds out about resources into their status."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple, Protocol

from mizzen.api.resource import ResourceKey
from mizzen.kubernetes.client import FAILURES, ApiError, Client
from mizzen.kubernetes.collections import Collection
from mizzen.kubernetes.objects import metadata_of

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
PACE_SECONDS = 0.05
"""Between two writes: after a change of everything, the API server has other work too."""
RETRY_SECONDS = 5.0
MANAGER = "mizzen-pilot"
PLACE = "status of resources"

ATTEMPTS = 3
"""To write a status that others write too, each time upon what they wrote."""


class Statement(Protocol):
    """What there is to say of an object."""

    @property
    def uid(self) -> str: ...
    @property
    def is_shared(self) -> bool:
        """Whether others write into the same lists: what they wrote last is read first."""
        ...

    def status(self, before: Mapping[str, Any], now: str) -> dict[str, Any]:
        """The parts of the status that are stated, where it was `before`."""
        ...


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
        self._collections = {collection.kind.key: collection for collection in collections}
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
            for item in await self._items(collection):
                metadata, _ = metadata_of(item)
                key = ResourceKey(kind, metadata.get("namespace", ""), metadata["name"])
                self._written[key] = Written(str(metadata.get("uid", "")), item.get("status") or {})

    async def _items(self, collection: Collection) -> list[Any]:
        try:
            return (await self._client.list_all(collection)).items
        except ApiError as error:
            if error.status != 404 or not collection.optional or await self._client.is_served(collection):
                raise
            return []

    async def _write_differences(self) -> None:
        stated = self._source()
        if stated is self._done:
            return
        for key in self._written.keys() - stated.keys():
            del self._written[key]
        is_done = True
        for key, statement in stated.items():
            old = self._written.get(key, NOTHING)
            before = old.status if old.uid == statement.uid else {}
            status = statement.status(before, self._now())
            if differs(before, status):
                written = await self._write(key, statement, status)
                if written is None:
                    is_done = False
                else:
                    self._written[key] = Written(statement.uid, written)
                await asyncio.sleep(PACE_SECONDS)
        if is_done:
            self._done = stated

    def _now(self) -> str:
        return datetime.fromtimestamp(self._wall_clock(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    async def _write(self, key: ResourceKey, statement: Statement, status: dict[str, Any]) -> Mapping[str, Any] | None:
        """The status that the object has then; None where it is to be tried again."""
        try:
            if statement.is_shared:
                return await self._merge(key, statement)
            await self._apply(key, status)
        except ApiError as error:
            if error.status in (401, 403, 429) or error.status >= 500:
                raise
            if error.status != 404:  # it was removed meanwhile
                log.warning("Kubernetes API: the status of %s cannot be written: %s", key, error)
        return status

    async def _apply(self, key: ResourceKey, status: dict[str, Any]) -> None:
        """Write what is ours, and field by field take over what is not."""
        collection = self._collections[key.kind]
        item = {
            "apiVersion": collection.api_version,
            "kind": collection.kind.name,
            "metadata": {"name": key.name, "namespace": key.namespace},
            "status": status,
        }
        path = f"{collection.object_path(key)}/status?fieldManager={MANAGER}&force=true"
        await self._client.send("PATCH", path, item, "application/apply-patch+yaml")

    async def _merge(self, key: ResourceKey, statement: Statement) -> Mapping[str, Any] | None:
        """Write upon what is there, if nobody else does at the same time; None when somebody did, each time."""
        path = self._collections[key.kind].object_path(key)
        for _ in range(ATTEMPTS):
            found = await self._client.get(path)
            metadata, version = metadata_of(found)
            before: Mapping[str, Any] = found.get("status") or {}
            status = statement.status(before, self._now())
            if metadata.get("uid") != statement.uid or not differs(before, status):
                return before
            item = {"metadata": {"resourceVersion": version}, "status": status}
            try:
                await self._client.send(
                    "PATCH", f"{path}/status?fieldManager={MANAGER}", item, "application/merge-patch+json"
                )
            except ApiError as error:
                if error.status != 409:
                    raise
            else:
                return {**before, **status}
        return None


def differs(before: Mapping[str, Any], status: Mapping[str, Any]) -> bool:
    """Whether a part is another one than before; an empty list is as good as none."""
    return any((before.get(part) or None) != (value or None) for part, value in status.items())
