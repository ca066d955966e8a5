"""One pod: its application's processes, its sidecar, and the way out of service."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import aiohttp

from mizzen.cli.local import layout
from mizzen.cli.local.child import Child
from mizzen.cli.local.desired import PodTemplateSpec
from mizzen.cli.local.reconcile import PodKey, Running
from mizzen.cli.local.withdrawal import withdrawn
from mizzen.pilot.ingest.registry.objects import Serving

SIDECAR_GRACE_SECONDS = 10.0
APP_GRACE_SECONDS = 5.0


def serving(key: PodKey, template: PodTemplateSpec, number: int, ready: bool) -> Serving:
    """A pod of a template at its address, as the rest of the mesh sees it."""
    ports = [port for container in template.containers for port in container.ports]
    return Serving(
        namespace=key.namespace,
        name=key.name,
        address=layout.sidecar_address(number),
        labels=template.labels,
        ready=ready,
        service_account=template.service_account,
        deployment=key.deployment,
        named_ports={port.name: port.container_port for port in ports if port.name},
    )


class Pod:
    """Runs from `start` until `retire` or `stop` has returned."""

    def __init__(
        self, key: PodKey, template: PodTemplateSpec, number: int, apps: Sequence[Child], sidecar: Child
    ) -> None:
        self.key = key
        self.template = template
        self.number = number
        self.apps = tuple(apps)
        self.sidecar = sidecar
        self.stopping = False

    @property
    def ready(self) -> bool:
        """Whether it takes requests: every process of it is ready, and it is not on its way out."""
        return not self.stopping and self.sidecar.ready and all(app.ready for app in self.apps)

    @property
    def children(self) -> tuple[Child, ...]:
        return (*self.apps, self.sidecar)

    @property
    def running(self) -> Running:
        """For the decision what to do next."""
        return Running(self.key, self.template.revision, self.ready, self.stopping)

    @property
    def serving(self) -> Serving:
        """For the registry."""
        return serving(self.key, self.template, self.number, self.ready)

    def start(self) -> None:
        for child in self.children:
            child.start()

    async def retire(self, client: aiohttp.ClientSession) -> None:
        """End without failing a request: `stopping` is set and published, so stop when every proxy knows."""
        await withdrawn(client, layout.sidecar_address(self.number))
        await self.stop()

    async def stop(self) -> None:
        """End the sidecar, which finishes what is under way, and then the application that it needs for that."""
        self.stopping = True
        await self.sidecar.stop(SIDECAR_GRACE_SECONDS)
        await asyncio.gather(*(app.stop(APP_GRACE_SECONDS) for app in self.apps))
