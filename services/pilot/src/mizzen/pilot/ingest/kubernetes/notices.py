"""One ConfigMap in which each Pilot has a text of its own, and reads those of the others."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Mapping
from typing import Any, Final

from mizzen.kubernetes.client import FAILURES, ApiError, Client
from mizzen.kubernetes.single import Single, follow

log = logging.getLogger(__name__)

LOOK_SECONDS: Final = 0.5
RETRY_SECONDS: Final = 2.0
BEAT_SECONDS: Final = 10.0
"""How often a text that stays the same is written anew, as a sign of life."""
LAPSE_SECONDS: Final = 30.0
"""Who has not written for so long counts for nothing any more: proxies have found another Pilot."""
FORGET_SECONDS: Final = 600.0
"""Its text is removed then; until then one that starts again finds what it has said before."""
REQUEST_SECONDS: Final = 5.0
MERGE: Final = "application/merge-patch+json"


class Notices:
    """`load` once, then `run`; `others` is what is known. Ages are by the own clock: those of others may be wrong."""

    def __init__(
        self, client: Client, place: tuple[str, str], name: str, own: Callable[[], str], clock: Callable[[], float]
    ) -> None:
        """`place` is the ConfigMap's namespace and name, `name` this Pilot's; `own` gives its text as of now."""
        namespace, config_map = place
        self._client = client
        self._namespace = namespace
        self._single = Single(f"/api/v1/namespaces/{namespace}/configmaps", config_map)
        self._name = name
        self._own = own
        self._clock = clock
        self._started = clock()
        self._listed = False
        self._seen: dict[str, tuple[str, float]] = {}
        """Of the others, and when that was new."""
        self._beat = 0

    def others(self) -> Mapping[str, str] | None:
        """The texts of the others that are alive, by name; None while they may be there and are not known."""
        if not self._listed:
            return None if self._clock() < self._started + LAPSE_SECONDS else {}
        alive = self._clock() - LAPSE_SECONDS
        return {name: text.partition(" ")[2] for name, (text, since) in self._seen.items() if since > alive}

    async def load(self) -> Mapping[str, str]:
        """What is there, of whomever; nothing where it cannot be read."""
        try:
            async with asyncio.timeout(REQUEST_SECONDS):
                self._is_now(await self._client.get(self._single.object_path))
        except FAILURES as error:
            if not _is_missing(error):
                self._client.outages.begin(self._single.object_path, str(error) or type(error).__name__)
        return self.others() or {}

    async def run(self) -> None:
        """Read and write until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(follow(self._client, self._single, self._is_now, random.random))
            tasks.create_task(self._tell())

    def _is_now(self, item: Mapping[str, Any] | None) -> None:
        texts: Mapping[str, str] = (item or {}).get("data") or {}
        now, before = self._clock(), self._seen
        self._seen = {
            name: before[name] if name in before and before[name][0] == text else (text, now)
            for name, text in texts.items()
            if name != self._name
        }
        self._listed = True

    async def _tell(self) -> None:
        told, due = "", 0.0
        while True:
            text, now = self._own(), self._clock()
            if text == told and now < due:
                await asyncio.sleep(LOOK_SECONDS)
            elif await self._succeeds(text):
                told, due = text, now + BEAT_SECONDS
            else:
                await asyncio.sleep(RETRY_SECONDS)

    async def _succeeds(self, text: str) -> bool:
        what = f"writing {self._single.object_path}"
        try:
            async with asyncio.timeout(REQUEST_SECONDS):
                await self._write(text)
        except FAILURES as error:
            if not (isinstance(error, ApiError) and error.status == 409):  # another Pilot has just made it
                self._client.outages.begin(what, str(error) or type(error).__name__)
            return False
        self._client.outages.end(what)
        return True

    async def _write(self, text: str) -> None:
        self._beat += 1
        forgotten = self._clock() - FORGET_SECONDS
        data: dict[str, str | None] = {name: None for name, (_, since) in self._seen.items() if since < forgotten}
        data[self._name] = f"{self._beat} {text}"
        try:
            await self._client.send("PATCH", self._single.object_path, {"data": data}, MERGE)
        except ApiError as error:
            if not _is_missing(error):
                raise
            metadata = {"name": self._single.name, "namespace": self._namespace}
            item = {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": metadata,
                "data": {self._name: data[self._name]},
            }
            await self._client.send("POST", self._single.path, item)


def _is_missing(error: BaseException) -> bool:
    return isinstance(error, ApiError) and error.status == 404
