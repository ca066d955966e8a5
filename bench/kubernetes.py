"""A real API server, filled with Services and Pods that are ready; nobody runs the Pods."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable
from contextlib import ExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml
from support.kube import local
from support.kube.programs import CHART

from mizzen.kubernetes.access import access_to
from mizzen.kubernetes.client import Client
from mizzen.kubernetes.collections import REGISTRY

CRDS = CHART / "crds"
NAMESPACE = "bench"
NODE = "node"
BEAT_SECONDS = 10.0
"""A node that is silent for four times as long counts as lost, with its Pods."""
PORT = 8000
AT_ONCE = 32
"""Requests under way while it is filled."""
FILL_SECONDS = 600.0
WATCH_SECONDS = 3600
MERGE = "application/merge-patch+json"
SLICES = next(collection for collection in REGISTRY if collection.kind.name == "EndpointSlice")


class Population:
    """Services of the same size: `service-I` selects the Pods `service-I-J`."""

    def __init__(self, services: int, pods_each: int) -> None:
        self.services = [f"service-{number}" for number in range(services)]
        self.pods = [f"{service}-{number}" for service in self.services for number in range(pods_each)]
        self._numbers = {pod: number for number, pod in enumerate(self.pods, 1)}

    def address(self, pod: str) -> str:
        """Its IP."""
        number = self._numbers[pod]
        return f"10.{64 + (number >> 16)}.{number >> 8 & 255}.{number & 255}"


class Cluster:
    """The API server and what is in it."""

    def __init__(self, kubeconfig: Path, population: Population) -> None:
        self.kubeconfig = kubeconfig
        self.population = population
        self.client = Client(access_to(str(kubeconfig), {}), "mizzen-bench")

    async def prepare(self) -> None:
        """The mesh's own kinds, and a node where the Pods are said to run."""
        for file in CRDS.glob("*.yaml"):
            for definition in yaml.load_all(file.read_text(), yaml.CSafeLoader):
                await self.client.send("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", definition)
        await self.client.send(
            "POST", "/api/v1/nodes", {"apiVersion": "v1", "kind": "Node", "metadata": {"name": NODE}}
        )

    async def fill(self) -> None:
        """Create all Pods, make them ready, then the Services; returns when every Pod is in an EndpointSlice."""
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
        await self.client.send("POST", "/api/v1/namespaces", namespace)
        await _until(self._has_account, 60.0)
        await _all(self._create_pod(pod) for pod in self.population.pods)
        await _all(self._create_service(service) for service in self.population.services)
        await _until(self._is_complete, FILL_SECONDS)

    async def set_ready(self, pod: str, is_ready: bool) -> None:
        """What its kubelet would say."""
        condition = {"type": "Ready", "status": "True" if is_ready else "False"}
        status = {"phase": "Running", "podIP": self.population.address(pod), "conditions": [condition]}
        status["podIPs"] = [{"ip": self.population.address(pod)}]
        await self.client.send("PATCH", f"{_pods(pod)}/status", {"status": status}, MERGE)

    async def beat(self) -> None:
        """Tell that the node lives, until cancelled."""
        while True:
            now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            ready = {"type": "Ready", "status": "True", "lastHeartbeatTime": now}
            status = {"status": {"conditions": [ready]}}
            await self.client.send("PATCH", f"/api/v1/nodes/{NODE}/status", status, MERGE)
            await asyncio.sleep(BEAT_SECONDS)

    @asynccontextmanager
    async def slices(self, changed: Callable[[Any], None]) -> AsyncIterator[None]:
        """Every EndpointSlice that changes is told while the block runs."""
        listing = await self.client.list_all(SLICES)

        async def follow() -> None:
            async with self.client.watch(SLICES, listing.version, WATCH_SECONDS) as events:
                async for event in events:
                    if event.type != "BOOKMARK":
                        changed(event.object)

        async with _meanwhile(follow()):
            yield

    async def _has_account(self) -> bool:
        accounts = await self.client.get(f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts")
        return bool(accounts["items"])

    async def _is_complete(self) -> bool:
        slices = (await self.client.list_all(SLICES)).items
        return sum(len(ready_addresses(item)) for item in slices) == len(self.population.pods)

    async def _create_pod(self, pod: str) -> None:
        container = {"name": "application", "image": "application", "ports": [{"containerPort": PORT}]}
        item = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": pod, "labels": {"app": service_of(pod), "version": "v1"}},
            "spec": {"nodeName": NODE, "containers": [container], "automountServiceAccountToken": False},
        }
        await self.client.send("POST", _pods(), item)
        await self.set_ready(pod, True)

    async def _create_service(self, service: str) -> None:
        item = {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": service},
            "spec": {"selector": {"app": service}, "ports": [{"name": "http", "port": PORT}]},
        }
        await self.client.send("POST", f"/api/v1/namespaces/{NAMESPACE}/services", item)


@asynccontextmanager
async def cluster(folder: Path, services: int, pods_each: int) -> AsyncIterator[Cluster]:
    """An API server with its controllers, filled."""
    with ExitStack() as stack:
        kubeconfig = await asyncio.to_thread(local.start, folder, stack)
        made = Cluster(kubeconfig, Population(services, pods_each))
        try:
            await made.prepare()
            async with _meanwhile(made.beat()):
                await made.fill()
                yield made
        finally:
            await made.client.close()


def service_of(pod: str) -> str:
    """The Service that selects it."""
    return pod.rpartition("-")[0]


def ready_addresses(item: Any) -> set[str]:
    """Of the endpoints of a slice."""
    endpoints = item.get("endpoints") or ()
    return {address for each in endpoints if each["conditions"].get("ready") for address in each["addresses"]}


def _pods(name: str = "") -> str:
    return f"/api/v1/namespaces/{NAMESPACE}/pods" + (f"/{name}" if name else "")


@asynccontextmanager
async def _meanwhile(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _all(tasks: Iterable[Awaitable[None]]) -> None:
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(task: Awaitable[None]) -> None:
        async with gate:
            await task

    await asyncio.gather(*(one(task) for task in tasks))


async def _until(condition: Callable[[], Awaitable[bool]], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not await condition():
        if time.monotonic() > deadline:
            raise RuntimeError(f"the cluster is not filled after {seconds:g} s")
        await asyncio.sleep(0.5)
