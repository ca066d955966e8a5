"""A watcher and an API server that does what it is told."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from mizzen.api.resource import ResourceKey
from mizzen.kubernetes import client as client_module
from mizzen.kubernetes import watcher as watcher_module
from mizzen.kubernetes.client import Client
from mizzen.kubernetes.collections import CONFIG, REGISTRY
from mizzen.kubernetes.outages import Outages
from mizzen.kubernetes.server import Server
from mizzen.kubernetes.store import KubernetesStore

RULES = next(c for c in CONFIG if c.kind.name == "rule")
GATEWAYS = next(c for c in CONFIG if c.kind.key == "Gateway.gateway.networking.k8s.io")
PODS = next(c for c in REGISTRY if c.kind.name == "Pod")
NAMESPACES = next(c for c in REGISTRY if c.kind.name == "Namespace")


RULE = {
    "metadata": {"name": "r", "namespace": "n", "resourceVersion": "8"},
    "spec": {"actions": [{"handler": "h", "instances": ["i"]}]},
}


def namespace(name: str, version: int, **labels: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "resourceVersion": str(version), "labels": labels}}


def listing(version: int, *items: dict[str, Any], rest: str = "") -> web.Response:
    return web.json_response({"metadata": {"resourceVersion": str(version), "continue": rest}, "items": list(items)})


def status(code: int, reason: str, message: str = "no") -> dict[str, Any]:
    return {"kind": "Status", "code": code, "reason": reason, "message": message}


def refusal(code: int, reason: str, message: str = "no") -> web.Response:
    return web.json_response(status(code, reason, message), status=code)


class Cut:
    """The connection ends in the middle."""


class Stay:
    """The watch stays open."""


class FakeServer:
    """Answers each request with the next of the answers for it; the last one stays."""

    def __init__(self) -> None:
        self.url = ""
        self.asked = 0
        self.lists: list[Any] = []
        self.watches: list[list[Any]] = []
        self.others: dict[str, tuple[int, Any]] = {}
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.tokens: list[str | None] = []

    async def answer(self, request: web.Request) -> web.StreamResponse:
        query = dict(request.query)
        self.tokens.append(request.headers.get("Authorization"))
        self.requests.append((request.path, query))
        if request.path in self.others:
            code, body = self.others[request.path]
            return web.json_response(body, status=code)
        if "watch" not in query:
            answer = self.lists.pop(0)
            return answer() if callable(answer) else answer
        events = self.watches.pop(0) if self.watches else [Stay]
        if isinstance(events[0], web.Response):
            return events[0]
        response = web.StreamResponse()
        await response.prepare(request)
        for event in events:
            if event is Stay:
                await asyncio.sleep(3600)
            if event is Cut:
                assert request.transport is not None
                request.transport.close()
                return response
            kind, item = event
            await response.write(json.dumps({"type": kind, "object": item}).encode() + b"\n")
        return response

    def server(self) -> Server:
        self.asked += 1
        return Server(self.url, authorization=f"Bearer {self.asked}")


@pytest.fixture
async def api(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[FakeServer]:
    monkeypatch.setattr(watcher_module, "RETRY_SECONDS", (0.001, 0.01))
    fake = FakeServer()
    application = web.Application()
    application.router.add_get("/{path:.*}", fake.answer)
    runner = web.AppRunner(application, shutdown_timeout=0, handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    fake.url = f"http://{host}:{port}"
    yield fake
    await runner.cleanup()


class Seen:
    """The keys that a store reported, and a way to wait for what it holds."""

    def __init__(self, store: KubernetesStore, outages: Outages) -> None:
        self.store = store
        self.outages = outages
        self.keys: list[str] = []
        self._changed = asyncio.Event()

    def report(self, keys: frozenset[ResourceKey]) -> None:
        self.keys += sorted(key.name for key in keys)
        self._changed.set()

    @property
    def names(self) -> list[str]:
        return sorted(key.name for key in self.store.contents.resources)

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not holds():
                self._changed.clear()
                await self._changed.wait()


@asynccontextmanager
async def following(api: FakeServer, *collections: Any) -> AsyncIterator[Seen]:
    client = Client(api)
    store = KubernetesStore(client, collections or (NAMESPACES,), lambda: 0.0)
    seen = Seen(store, client.outages)
    task = asyncio.ensure_future(asyncio.sleep(0))
    try:
        async with asyncio.timeout(10):
            await store.load()
        task = asyncio.ensure_future(store.watch(seen.report))
        yield seen
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await client.close()


async def test_list_then_watch_from_its_version(api: FakeServer) -> None:
    api.lists = [listing(7, namespace("a", 3), namespace("b", 4))]
    api.watches = [[("ADDED", namespace("c", 8)), ("DELETED", namespace("a", 9)), Stay]]
    async with following(api) as seen:
        assert seen.names == ["a", "b"]
        await seen.until(lambda: seen.names == ["b", "c"])
    assert seen.keys == ["c", "a"]
    (_, asked), (path, watched) = api.requests
    assert asked == {"limit": "500"}
    assert path == "/api/v1/namespaces"
    assert watched == {
        "watch": "1",
        "allowWatchBookmarks": "true",
        "resourceVersion": "7",
        "timeoutSeconds": "300",
    }


async def test_a_watch_that_ends_goes_on_from_the_last_bookmark(api: FakeServer) -> None:
    api.lists = [listing(7, namespace("a", 3))]
    bookmark = ("BOOKMARK", {"metadata": {"resourceVersion": "20"}})
    api.watches = [[("ADDED", namespace("b", 9)), bookmark], [Cut], [("ADDED", namespace("c", 21)), Stay]]
    async with following(api) as seen:
        await seen.until(lambda: seen.names == ["a", "b", "c"])
    assert [query.get("resourceVersion") for _, query in api.requests] == [None, "7", "20", "20"]
    assert seen.keys == ["b", "c"]


@pytest.mark.parametrize(
    "refused",
    [
        [("ERROR", status(410, "Expired"))],
        [refusal(410, "Gone")],
        [refusal(400, "BadRequest")],
        [("ADDED", {"metadata": {}})],
        [web.Response(text="<html>\n")],
        [refusal(504, "Timeout", "Too large resource version: 7, current: 3")],
    ],
    ids=["410 event", "410", "400", "no object", "no JSON", "too large"],
)
async def test_a_version_that_is_of_no_use_leads_to_a_list_and_its_differences(
    api: FakeServer, refused: list[Any]
) -> None:
    seen_before = []
    api.lists = [
        listing(7, namespace("a", 3), namespace("b", 4)),
        lambda: seen_before.append(seen.names) or listing(30, namespace("b", 4), namespace("c", 29)),
    ]
    api.watches = [refused, [Stay]]
    async with following(api) as seen:
        await seen.until(lambda: seen.names == ["b", "c"])
    assert seen_before == [["a", "b"]], "what is known stays until the list is here"
    assert seen.keys == ["a", "c"]


async def test_refusals_that_say_nothing_about_the_version_keep_it(api: FakeServer) -> None:
    api.lists = [listing(7, namespace("a", 3))]
    codes = (401, 403, 429, 500, 503, 504)
    api.watches = [[refusal(code, "x")] for code in codes] + [[("ADDED", namespace("b", 8)), Stay]]
    async with following(api) as seen:
        await seen.until(lambda: seen.names == ["a", "b"])
    assert [query["resourceVersion"] for _, query in api.requests[1:]] == ["7"] * 7
    assert api.tokens == [f"Bearer {number}" for number in range(1, 9)], "credentials are read for each request"


async def test_a_listing_waits_for_the_server_and_says_why(api: FakeServer, caplog: pytest.LogCaptureFixture) -> None:
    forbidden = [refusal(403, "Forbidden", "namespaces is forbidden") for _ in range(3)]
    api.lists = [*forbidden, listing(1, namespace("a", 1))]
    async with following(api) as seen:
        assert seen.names == ["a"]
    warnings = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert warnings == [
        "Kubernetes API: namespaces: 403 Forbidden: namespaces is forbidden; what is known stays in use, trying again"
    ]


async def test_pages_and_a_page_that_came_too_late(api: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "PAGE", 1)
    api.lists = [
        listing(7, namespace("a", 3), rest="token"),
        refusal(410, "Expired"),
        listing(9, namespace("a", 3), namespace("b", 8)),
    ]
    async with following(api) as seen:
        assert seen.names == ["a", "b"]
    assert [query for _, query in api.requests[:3]] == [{"limit": "1"}, {"limit": "1", "continue": "token"}, {}]


async def test_pods_that_have_ended_are_not_asked_for(api: FakeServer) -> None:
    api.lists = [listing(7)]
    async with following(api, PODS) as seen:
        assert seen.names == []
    assert api.requests[0][1]["fieldSelector"] == "status.phase!=Succeeded,status.phase!=Failed"


def groups(*versions: str) -> tuple[int, Any]:
    return 200, {"groups": [{"versions": [{"groupVersion": version} for version in versions]}]}


async def test_a_kind_without_a_definition_is_empty_until_it_has_one(api: FakeServer) -> None:
    api.others["/apis"] = groups("apps/v1")
    api.lists = [refusal(404, "NotFound"), refusal(404, "NotFound"), listing(9, RULE)]
    async with following(api, RULES) as seen:
        assert seen.names == []
        await seen.until(lambda: seen.names == ["r"])


GATEWAY = {
    "metadata": {"name": "g", "namespace": "n", "resourceVersion": "8"},
    "spec": {"gatewayClassName": "c", "listeners": [{"name": "http", "port": 80, "protocol": "HTTP"}]},
}


async def test_that_an_optional_kind_has_no_definition_is_no_outage(api: FakeServer) -> None:
    """It is listed again and again, and followed when there is one."""
    outages = []
    api.others["/apis"] = groups("apps/v1")

    def later() -> web.Response:
        outages.append(dict(seen.outages.reasons))
        return refusal(404, "NotFound")

    first = [refusal(403, "Forbidden"), refusal(404, "NotFound")]
    api.lists = [*first, later, later, later, listing(9, GATEWAY)]
    api.watches = [[("DELETED", GATEWAY | {"metadata": GATEWAY["metadata"] | {"resourceVersion": "10"}}), Stay]]
    async with following(api, GATEWAYS) as seen:
        assert seen.names == []
        await seen.until(lambda: seen.keys == ["g", "g"])
    assert outages == [{}] * 3


async def test_only_the_api_server_itself_can_say_that_a_kind_is_gone(api: FakeServer) -> None:
    """A 404 may come from anything on the way."""
    asked = []
    api.others["/apis"] = (404, {})

    def later() -> web.Response:
        asked.append(seen.names)
        if len(asked) == 3:
            api.others["/apis"] = groups("config.istio.io/v1alpha2")
            api.others["/apis/config.istio.io/v1alpha2"] = (200, {"resources": [{"name": "handlers"}]})
        return refusal(404, "NotFound")

    api.lists = [listing(9, RULE)] + [later] * 50
    api.watches = [[refusal(404, "NotFound")]]
    async with following(api, RULES) as seen:
        assert seen.names == ["r"]
        await seen.until(lambda: not seen.names)
    assert asked[:3] == [["r"]] * 3


async def test_what_is_no_json_keeps_what_is_known(api: FakeServer) -> None:
    api.lists = [listing(7, namespace("a", 3)), web.Response(text="<html>"), listing(8, namespace("b", 8))]
    api.watches = [[("ERROR", status(410, "Expired"))], [Stay]]
    async with following(api) as seen:
        await seen.until(lambda: seen.names == ["b"])
    assert seen.keys == ["a", "b"]
