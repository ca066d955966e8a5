"""Keeps the registry folder equal to the containers of one compose project."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import suppress

from mizzen.pilot.ingest.registry.compose.docker import Docker, DockerError
from mizzen.pilot.ingest.registry.compose.endings import Endings
from mizzen.pilot.ingest.registry.compose.pods import Registry
from mizzen.pilot.ingest.registry.folder import RegistryFolder

log = logging.getLogger(__name__)

RETRY_SECONDS = 1.0
SETTLE_SECONDS = 0.5
"""From an event to a list that surely has it."""
RESYNC_SECONDS = 10.0
"""Also without an event, for what a stream of events lost."""


class Registrar:
    """Follows Docker until cancelled. While Docker is away, the folder keeps what it last said."""

    def __init__(self, docker: Docker, project: str, folder: RegistryFolder) -> None:
        self._docker = docker
        self._project = project
        self._folder = folder
        self._registry = Registry()
        self._endings = Endings()
        self._changed = asyncio.Event()

    async def run(self) -> None:
        """Until cancelled; the folder is one that was adopted."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._follow())
            tasks.create_task(self._publish())

    async def _follow(self) -> None:
        while True:
            try:
                async for event in self._docker.events(self._project):
                    self._endings.take(event, time.monotonic())
                    self._changed.set()
            except DockerError as error:
                log.warning("%s; the registry stays as it is", error)
            await asyncio.sleep(RETRY_SECONDS)

    async def _publish(self) -> None:
        """A list after each event, and soon once more: an event says that something changed, the list what there is."""
        pause = RESYNC_SECONDS
        while True:
            try:
                await self._sync()
            except (DockerError, OSError) as error:
                log.warning("%s; the registry stays as it is", error)
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._changed.wait()
            pause = SETTLE_SECONDS if self._changed.is_set() else RESYNC_SECONDS
            self._changed.clear()

    async def _sync(self) -> None:
        known = self._registry.complaints
        containers = await self._docker.containers(self._project)
        objects = self._registry.update(containers, self._endings.at(time.monotonic()))
        await asyncio.to_thread(self._folder.publish, objects)
        for complaint in self._registry.complaints:
            if complaint not in known:
                log.warning("%s (it is left out)", complaint)
