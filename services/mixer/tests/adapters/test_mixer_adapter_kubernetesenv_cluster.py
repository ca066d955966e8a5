"""kubernetesenv: attributes from the Pods of an API server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from mizzen.kubernetes.client import Client
from mizzen.kubernetes.server import Server
from mizzen.mixer.adapters.kubernetesenv import cluster
from mizzen.mixer.adapters.kubernetesenv.cluster import ClusterPods
from mizzen.mixer.adapters.kubernetesenv.pods import Pods


def pod(name: str, address: str, version: int, **spec: Any) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "default", "resourceVersion": str(version)}
    return {"metadata": metadata, "spec": spec, "status": {"phase": "Running", "podIP": address}}


class Api:
    """Lists Pods, and tells of those that are put into `events`."""

    def __init__(self) -> None:
        self.url = ""
        self.is_there = True
        self.pods = [
            pod(
                "reviews",
                "10.0.0.1",
                1,
                containers=[{"name": "app", "image": "x", "env": [], "ports": [{"containerPort": 80}]}],
            )
        ]
        self.events: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    def server(self) -> Server:
        return Server(self.url)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        assert request.path == "/api/v1/pods"
        if not self.is_there:
            return web.Response(status=503)
        if "watch" not in request.query:
            return web.json_response({"metadata": {"resourceVersion": "1"}, "items": self.pods})
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            event = {"type": "ADDED", "object": await self.events.get()}
            await response.write(json.dumps(event).encode() + b"\n")


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    made, app = Api(), web.Application()
    app.router.add_get("/{path:.*}", made.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield made
    await runner.cleanup()


class Told:
    """What a source gave, and when there is more."""

    def __init__(self) -> None:
        self.pods = Pods(())
        self.more = asyncio.Event()

    def __call__(self, pods: Pods) -> None:
        self.pods = pods
        self.more.set()


@pytest.fixture
async def client(api: Api) -> AsyncIterator[Client]:
    client = Client(api)
    yield client
    await client.close()


async def test_pods_of_a_cluster_and_their_changes(api: Api, client: Client) -> None:
    told = Told()
    source = ClusterPods(client, told)
    await source.start()
    try:
        found = told.pods.find("10.0.0.1")
        assert found is not None
        assert [(each.name, each.ports[0].container_port) for each in found.spec.containers] == [("app", 80)]
        assert told.pods.find("kubernetes://ratings.default") is None
        told.more.clear()
        api.events.put_nowait(pod("ratings", "10.0.0.2", 2))
        async with asyncio.timeout(10):
            await told.more.wait()
        assert told.pods.find("kubernetes://ratings.default") is told.pods.find("10.0.0.2") is not None
    finally:
        await source.close()


async def test_an_api_server_that_is_away_is_not_waited_for_for_ever(
    api: Api, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "WAIT_SECONDS", 0.05)
    api.is_there = False
    told = Told()
    source = ClusterPods(client, told)
    await source.start()
    try:
        assert told.pods.find("10.0.0.1") is None
        api.is_there = True
        async with asyncio.timeout(10):
            await told.more.wait()
        assert told.pods.find("10.0.0.1") is not None
    finally:
        await source.close()
