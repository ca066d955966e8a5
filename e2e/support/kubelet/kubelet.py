"""Follows the Pods of one node and gives each a life."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from ipaddress import IPv4Network

from mizzen.kubernetes.client import FAILURES
from mizzen.kubernetes.collections import JSON
from support.kubelet.objects import Object, named
from support.kubelet.pod import Host, PodLife
from support.kubelet.sandbox import addresses

WATCH_SECONDS = 300
RETRY_SECONDS = 1.0

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PodsOf:
    """The Pods that are bound to a node, as a collection to list and watch."""

    node: str
    path: str = "/api/v1/pods"

    @property
    def field_selector(self) -> str:
        return f"spec.nodeName={self.node}"

    def accept(self, listing: bool) -> str:
        return JSON


class Kubelet:
    """One node's."""

    def __init__(self, host: Host, node: str, pods: IPv4Network) -> None:
        self._host = host
        self._pods = PodsOf(node)
        self._addresses = addresses(pods)
        self._number = 0
        self._lives: dict[str, PodLife] = {}
        """By the Pods' UIDs."""
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Until cancelled; then all Pods end at once."""
        try:
            while True:
                try:
                    await self._follow()
                except FAILURES as error:
                    log.warning("the API server: %s", error)
                    await asyncio.sleep(RETRY_SECONDS)
        finally:
            for task in self._tasks.values():
                task.cancel()
            if self._tasks:
                await asyncio.wait(self._tasks.values())

    async def _follow(self) -> None:
        """List, then watch as long as the API server lets us."""
        listing = await self._host.client.list_all(self._pods)
        known = {pod["metadata"]["uid"] for pod in listing.items}
        for uid in self._lives.keys() - known:
            self._lives[uid].delete(0)
        for pod in listing.items:
            self._see(pod)
        async with self._host.client.watch(self._pods, listing.version, WATCH_SECONDS) as events:
            async for event in events:
                if event.type in ("ADDED", "MODIFIED"):
                    self._see(event.object)
                elif event.type == "DELETED" and (life := self._lives.get(event.object["metadata"]["uid"])):
                    life.delete(0)

    def _see(self, pod: Object) -> None:
        metadata = pod["metadata"]
        life = self._lives.get(metadata["uid"])
        if life is None:
            life = self._begin(pod)
        if life is not None and "deletionTimestamp" in metadata:
            life.delete(metadata.get("deletionGracePeriodSeconds", 0))

    def _begin(self, pod: Object) -> PodLife | None:
        uid = pod["metadata"]["uid"]
        if pod.get("status", {}).get("phase") in ("Succeeded", "Failed") and "deletionTimestamp" not in pod["metadata"]:
            return None
        self._number += 1
        life = self._lives[uid] = PodLife(self._host, pod, self._number, next(self._addresses))
        task = self._tasks[uid] = asyncio.create_task(life.run(), name=named(pod))
        task.add_done_callback(lambda task: self._end(uid, task))
        return life

    def _end(self, uid: str, task: asyncio.Task[None]) -> None:
        self._lives.pop(uid, None)
        self._tasks.pop(uid, None)
        if not task.cancelled() and (error := task.exception()):
            log.error("%s", task.get_name(), exc_info=error)
