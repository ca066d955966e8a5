"""How long a pod that is to go still serves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from mizzen.cli.local import withdrawal
from mizzen.cli.local.withdrawal import withdrawn
from mizzen.runtime.address import unused_port

GONE = {"known": False, "behind": []}


class Pilot:
    """Gives one answer after the other, the last one for good."""

    def __init__(self) -> None:
        self.answers: list[Any] = [GONE]
        self.asked: list[str] = []
        app = web.Application()
        app.router.add_get("/debug/drainz", self._answer)
        self.server = TestServer(app)

    @property
    def url(self) -> str:
        return str(self.server.make_url("")).rstrip("/")

    async def _answer(self, request: web.Request) -> web.Response:
        self.asked.append(request.query["address"])
        return web.json_response(self.answers.pop(0) if len(self.answers) > 1 else self.answers[0])


@pytest.fixture
async def pilot(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Pilot]:
    for name in ("POLL_SECONDS", "APPLY_SECONDS"):
        monkeypatch.setattr(withdrawal, name, 0.0)
    pilot = Pilot()
    await pilot.server.start_server()
    yield pilot
    await pilot.server.close()


@pytest.fixture
async def client() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as client:
        yield client


async def test_it_goes_when_no_proxy_knows_it(pilot: Pilot, client: aiohttp.ClientSession) -> None:
    pilot.answers = [{"known": True, "behind": []}, {"known": False, "behind": ["web-1.default"]}, GONE]
    await withdrawn(client, "127.1.0.1", pilot.url)
    assert pilot.asked == ["127.1.0.1"] * 3


async def test_a_proxy_that_does_not_answer_is_waited_for_only_so_long(
    pilot: Pilot, client: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(withdrawal, "PATIENCE", 0.1)
    pilot.answers = [{"known": False, "behind": ["web-1.default"]}]
    await withdrawn(client, "127.1.0.1", pilot.url)
    assert "Not every proxy knows within 0.1 s that 127.1.0.1 is gone" in caplog.text


@pytest.mark.parametrize("answer", ["not an object", {"else": 1}])
async def test_without_a_word_from_pilot_there_is_a_fixed_time(
    pilot: Pilot, client: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch, answer: Any
) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    pilot.answers = [answer]
    await withdrawn(client, "127.1.0.1", pilot.url)
    await withdrawn(client, "127.1.0.1", f"http://127.0.0.1:{unused_port()}")
    assert [seconds for seconds in slept if seconds] == [1.5, 1.5]
