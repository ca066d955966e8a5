"""One object, followed by its name."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from mizzen.kubernetes import single as single_module
from mizzen.kubernetes.client import Client
from mizzen.kubernetes.server import Server
from mizzen.kubernetes.single import Single, follow

SECRET = Single("/api/v1/namespaces/mesh/secrets", "tls")


def version(number: int) -> dict[str, Any]:
    return {"metadata": {"name": "tls", "resourceVersion": str(number)}}


class FakeServer:
    """Answers each list and each watch with the next of its answers; None is a refusal, and the last watch stays."""

    def __init__(self, lists: list[dict[str, Any] | None], watches: list[list[tuple[str, Any]]]) -> None:
        self.url = ""
        self.lists = lists
        self.watches = watches
        self.requests: list[tuple[str, dict[str, str]]] = []

    async def answer(self, request: web.Request) -> web.StreamResponse:
        query = dict(request.query)
        self.requests.append((request.path, query))
        if "watch" not in query:
            answer = self.lists.pop(0)
            return web.json_response(answer) if answer else web.json_response({"code": 503}, status=503)
        response = web.StreamResponse()
        await response.prepare(request)
        for kind, item in self.watches.pop(0):
            await response.write(json.dumps({"type": kind, "object": item}).encode() + b"\n")
        if not self.watches:
            await asyncio.sleep(3600)
        return response

    def server(self) -> Server:
        return Server(self.url)


def listing(number: int, *items: dict[str, Any]) -> dict[str, Any]:
    return {"metadata": {"resourceVersion": str(number)}, "items": list(items)}


@pytest.fixture
async def api(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[FakeServer]:
    monkeypatch.setattr(single_module, "RETRY_SECONDS", (0.001, 0.01))
    fake = FakeServer([], [])
    application = web.Application()
    application.router.add_get("/{path:.*}", fake.answer)
    runner = web.AppRunner(application, shutdown_timeout=0, handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    fake.url = f"http://{host}:{port}"
    yield fake
    await runner.cleanup()


async def told(api: FakeServer, count: int) -> list[str | None]:
    """The versions of the first so many objects that are told of."""
    client = Client(api)
    found: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
    task = asyncio.ensure_future(follow(client, SECRET, found.put_nowait, lambda: 0.0))
    try:
        async with asyncio.timeout(10):
            seen = [await found.get() for _ in range(count)]
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await client.close()
    return [item and item["metadata"]["resourceVersion"] for item in seen]


async def test_what_is_there_and_what_becomes_of_it(api: FakeServer) -> None:
    api.lists = [listing(5, version(3))]
    api.watches = [[("MODIFIED", version(6)), ("BOOKMARK", version(7)), ("DELETED", version(8)), ("ADDED", version(9))]]
    assert await told(api, 4) == ["3", "6", None, "9"]
    [(path, asked), (_, watched)] = api.requests
    assert (path, asked["fieldSelector"]) == ("/api/v1/namespaces/mesh/secrets", "metadata.name=tls")
    assert (watched["resourceVersion"], watched["fieldSelector"]) == ("5", "metadata.name=tls")


async def test_one_that_is_not_there_yet(api: FakeServer) -> None:
    api.lists = [listing(5)]
    api.watches = [[("ADDED", version(6))]]
    assert await told(api, 2) == [None, "6"]


async def test_a_watch_that_ends_and_one_that_has_expired_are_begun_anew(api: FakeServer) -> None:
    expired = {"kind": "Status", "code": 410, "reason": "Expired"}
    api.lists = [listing(5, version(3)), listing(9, version(8)), listing(12, version(11))]
    api.watches = [[], [("ERROR", expired)], [("MODIFIED", version(13))]]
    assert await told(api, 4) == ["3", "8", "11", "13"]


async def test_while_nobody_answers_nothing_is_told(api: FakeServer, caplog: pytest.LogCaptureFixture) -> None:
    api.lists = [None, None, listing(5, version(3))]
    api.watches = [[]]
    assert await told(api, 1) == ["3"]
    assert caplog.text.count("/api/v1/namespaces/mesh/secrets/tls") == 1
