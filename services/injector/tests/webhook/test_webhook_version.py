"""What the cluster's version says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from mizzen.injector.webhook import version as version_module
from mizzen.injector.webhook.files import SettingsFiles, SettingsSource
from mizzen.injector.webhook.version import follow_version, has_native_sidecars
from mizzen.kubernetes.client import Client
from mizzen.kubernetes.server import Server


@pytest.mark.parametrize(
    ("major", "minor", "native"),
    [
        ("1", "28", False),
        ("1", "32", False),
        ("1", "33", True),
        ("1", "33+", True),
        ("1", "100", True),
        ("2", "0", True),
    ],
)
def test_versions(major: str, minor: str, native: bool) -> None:
    assert has_native_sidecars({"major": major, "minor": minor}) is native


@pytest.mark.parametrize("answer", [{}, {"major": "1"}, {"major": "1", "minor": "new"}, {"major": None, "minor": 3}])
def test_what_is_no_version_is_told(answer: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="/version has no version"):
        has_native_sidecars(answer)


class FakeServer:
    """Answers each question for its version with the next minor number; None is a refusal. The last one stays."""

    def __init__(self, *minors: str | None) -> None:
        self.url = ""
        self.minors = list(minors)

    async def answer(self, request: web.Request) -> web.Response:
        minor = self.minors.pop(0) if len(self.minors) > 1 else self.minors[0]
        return web.json_response({"major": "1", "minor": minor}) if minor else web.json_response({}, status=503)

    def server(self) -> Server:
        return Server(self.url)


@pytest.fixture
async def api(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[FakeServer]:
    monkeypatch.setattr(version_module, "RETRY_SECONDS", (0.001, 0.01))
    monkeypatch.setattr(version_module, "ASK_SECONDS", 0.001)
    fake = FakeServer(None, "what", "32", "34")
    application = web.Application()
    application.router.add_get("/version", fake.answer)
    runner = web.AppRunner(application, shutdown_timeout=0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    fake.url = f"http://{host}:{port}"
    yield fake
    await runner.cleanup()


async def test_it_is_asked_again_when_it_fails_and_when_the_cluster_is_upgraded(api: FakeServer) -> None:
    source, client = SettingsSource(SettingsFiles(), native_sidecars=None), Client(api)
    source.load()
    assert (source.native_sidecars, source.settings.native_sidecars) == (None, False)
    told: asyncio.Queue[bool] = asyncio.Queue()

    def on_answer(has: bool) -> None:
        source.cluster_has_native_sidecars(has)
        told.put_nowait(source.settings.native_sidecars)

    task = asyncio.ensure_future(follow_version(client, on_answer))
    try:
        async with asyncio.timeout(10):
            assert [await told.get() for _ in range(2)] == [False, True]
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await client.close()
    source.refresh()
    assert source.settings.native_sidecars
