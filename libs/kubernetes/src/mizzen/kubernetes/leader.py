"""Work that one of several replicas does: the one that holds a Lease of the API server."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from mizzen.kubernetes.client import FAILURES, ApiError, Client
from mizzen.kubernetes.election import RETRY_SECONDS, Election, Lease
from mizzen.kubernetes.objects import metadata_of

log = logging.getLogger(__name__)

REQUEST_SECONDS = 2.5
"""So short that a leader that cannot renew its lease stops before another one begins: it looks after each request, and
then not for RETRY_SECONDS."""


class Leader:
    """A candidate for the Lease `namespace/name`."""

    def __init__(
        self, client: Client, namespace: str, name: str, identity: str, wall_clock: Callable[[], float]
    ) -> None:
        self._client = client
        self._namespace = namespace
        self._name = name
        self._folder = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"
        self._path = f"{self._folder}/{name}"
        self._wall_clock = wall_clock
        self._clock = asyncio.get_running_loop().time
        self.election = Election(identity)

    async def run(self, work: Callable[[], Awaitable[None]]) -> None:
        """Do the work whenever this candidate leads, until cancelled."""
        task: asyncio.Future[None] | None = None
        try:
            while True:
                await self._try()
                leads = self.election.leads(self._clock())
                if leads and task is None:
                    log.info("Leading: %s/%s", self._namespace, self._name)
                    task = asyncio.ensure_future(work())
                elif task is not None and (not leads or task.done()):
                    log.info("Not leading any more: %s/%s", self._namespace, self._name)
                    await _end(task)
                    task = None
                await asyncio.sleep(RETRY_SECONDS)
        finally:
            if task is not None:
                await _end(task)
                await self._give_back()

    async def _try(self) -> None:
        """Claim the lease where that may be done; a failure is one try less."""
        asked_at = self._clock()
        try:
            async with asyncio.timeout(REQUEST_SECONDS):
                lease = await self._read()
                claim = self.election.claim(lease, asked_at)
                if claim is not None:
                    await self._write(claim)
                    self.election.claimed(asked_at)
        except FAILURES as error:
            if not (isinstance(error, ApiError) and error.status == 409):  # another candidate was faster
                self._client.outages.begin(self._path, str(error) or type(error).__name__)
        else:
            self._client.outages.end(self._path)

    async def _give_back(self) -> None:
        """Let the next one lead at once."""
        with suppress(*FAILURES):
            async with asyncio.timeout(REQUEST_SECONDS):
                lease = await self._read()
                if lease.holder == self.election.identity:
                    await self._write(Lease("", 1, lease.transitions, lease.version))

    async def _read(self) -> Lease:
        try:
            found = await self._client.get(self._path)
        except ApiError as error:
            if error.status != 404:
                raise
            return Lease()
        spec = found.get("spec") or {}
        _, version = metadata_of(found)
        return Lease(
            spec.get("holderIdentity") or "",
            spec.get("leaseDurationSeconds") or 0,
            spec.get("leaseTransitions") or 0,
            version,
        )

    async def _write(self, lease: Lease) -> None:
        now = datetime.fromtimestamp(self._wall_clock(), UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        metadata: dict[str, Any] = {"name": self._name, "namespace": self._namespace}
        item = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": metadata,
            "spec": {
                "holderIdentity": lease.holder,
                "leaseDurationSeconds": lease.seconds,
                "leaseTransitions": lease.transitions,
                "renewTime": now,
            },
        }
        if lease.version:
            metadata["resourceVersion"] = lease.version  # refused with 409 when somebody else wrote meanwhile
            await self._client.send("PUT", self._path, item)
        else:
            await self._client.send("POST", self._folder, item)


async def _end(task: asyncio.Future[None]) -> None:
    task.cancel()
    (result,) = await asyncio.gather(task, return_exceptions=True)
    if isinstance(result, Exception):
        log.error("A leader's work failed; it is begun again", exc_info=result)
