"""The writer of status, at objects that others write too."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, cast

import pytest

from mizzen.api.resource import ResourceKey
from mizzen.kubernetes.client import ApiError, Client
from mizzen.kubernetes.collections import WITH_STATUS
from mizzen.kubernetes.outages import Outages
from mizzen.pilot.ingest.kubernetes import status as status_module
from mizzen.pilot.ingest.kubernetes.status import ATTEMPTS, StatusWriter

ROUTES = next(collection for collection in WITH_STATUS if collection.kind.name == "HTTPRoute")
KEY = ResourceKey("HTTPRoute", "shop", "web")
PATH = "/apis/gateway.networking.k8s.io/v1/namespaces/shop/httproutes/web"


class Said:
    """A word of ours beside those of others."""

    uid = "u"
    is_shared = True

    def status(self, before: Mapping[str, Any], now: str) -> dict[str, Any]:
        words = before.get("words", [])
        return {"words": words if "ours" in words else [*words, "ours"]}


class FakeClient:
    """An API server with one object, into which somebody else writes just before some writes."""

    def __init__(self) -> None:
        self.outages = Outages()
        self.version = 1
        self.words: list[str] = []
        self.is_there = True
        self.interferences = 0
        self.refused: int | None = None
        self.reads = 0
        self.writes: list[tuple[str, Any]] = []

    def item(self) -> dict[str, Any]:
        metadata = {"name": "web", "namespace": "shop", "uid": "u", "resourceVersion": str(self.version)}
        return {"metadata": metadata, "status": {"words": list(self.words)}}

    async def list_all(self, collection: Any) -> Any:
        if not self.is_there:
            raise ApiError(404, "NotFound", "no such kind")
        return type("Listing", (), {"items": [self.item()]})

    async def is_served(self, collection: Any) -> bool:
        return self.is_there

    async def get(self, path: str) -> dict[str, Any]:
        assert path == PATH
        self.reads += 1
        return self.item()

    async def send(self, method: str, path: str, item: Any, content_type: str) -> Any:
        assert (method, content_type) == ("PATCH", "application/merge-patch+json")
        if self.refused is not None:
            raise ApiError(self.refused, "Refused", "no")
        if self.interferences:
            self.interferences -= 1
            self.version += 1
            self.words.append(f"theirs {self.version}")
        if item["metadata"]["resourceVersion"] != str(self.version):
            raise ApiError(409, "Conflict", "the object has been modified")
        self.writes.append((path, item["status"]))
        self.words = item["status"]["words"]


async def run_until(api: FakeClient, stated: Mapping[ResourceKey, Any], looks: int) -> None:
    """Run a writer until it has asked so often what is stated."""
    asked = 0
    enough = asyncio.Event()

    def source() -> Mapping[ResourceKey, Any]:
        nonlocal asked
        asked += 1
        if asked > looks:
            enough.set()
        return stated

    writer = StatusWriter(cast("Client", api), (ROUTES,), source, lambda: 0.0)
    running = asyncio.ensure_future(writer.run())
    try:
        async with asyncio.timeout(10):
            await enough.wait()
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> FakeClient:
    for name in ("LOOK_SECONDS", "PACE_SECONDS", "RETRY_SECONDS"):
        monkeypatch.setattr(status_module, name, 0.001)
    return FakeClient()


async def test_it_writes_upon_what_others_wrote_meanwhile(api: FakeClient) -> None:
    api.interferences = ATTEMPTS - 1
    await run_until(api, {KEY: Said()}, 1)
    assert api.writes == [(f"{PATH}/status?fieldManager=mizzen-pilot", {"words": ["theirs 2", "theirs 3", "ours"]})]


async def test_it_looks_again_where_others_go_on_writing(api: FakeClient) -> None:
    api.interferences = ATTEMPTS + 1
    await run_until(api, {KEY: Said()}, 2)
    assert [words for _, words in api.writes] == [{"words": ["theirs 2", "theirs 3", "theirs 4", "theirs 5", "ours"]}]
    assert not api.outages.reasons


async def test_it_asks_and_writes_nothing_where_all_is_said(api: FakeClient) -> None:
    api.words = ["ours"]
    await run_until(api, {KEY: Said()}, 3)
    assert (api.reads, api.writes) == (0, [])


async def test_it_leaves_an_object_of_another_life_alone(api: FakeClient) -> None:
    said = Said()
    said.uid = "earlier"
    await run_until(api, {KEY: said}, 3)
    assert (api.reads, api.writes) == (1, [])


@pytest.mark.parametrize("code", [404, 422])
async def test_what_cannot_be_written_is_not_tried_for_ever(api: FakeClient, code: int) -> None:
    api.refused = code
    await run_until(api, {KEY: Said()}, 3)
    assert api.reads == 1


async def test_a_kind_that_is_not_served_is_passed_over(api: FakeClient) -> None:
    api.is_there = False
    await run_until(api, {}, 1)
    assert not api.outages.reasons
