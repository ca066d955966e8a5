"""The registrar against a Docker API of our own on a Unix socket."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from mizzen.pilot.ingest.registry.compose.__main__ import serve
from mizzen.pilot.ingest.registry.compose.docker import Docker, DockerError
from mizzen.pilot.ingest.registry.compose.settings import Settings
from mizzen.runtime.errors import StartError
from mizzen.runtime.lifecycle import Lifecycle

MINE = {"com.docker.compose.project": "mesh"}


class FakeDocker:
    """Lists `containers` to who asks for the project, and sends what is put into `events`."""

    def __init__(self) -> None:
        self.containers: Any = []
        self.lists = 0
        """How often it was asked for one."""
        self.events: asyncio.Queue[Any] = asyncio.Queue()

    async def start(self, path: Path) -> web.AppRunner:
        application = web.Application()
        application.router.add_get("/v1.40/containers/json", self._list)
        application.router.add_get("/v1.40/containers/{id}/json", self._inspect)
        application.router.add_get("/v1.40/events", self._events)
        runner = web.AppRunner(application, shutdown_timeout=0.1, handler_cancellation=True)
        await runner.setup()
        await web.UnixSite(runner, str(path)).start()
        return runner

    async def _list(self, request: web.Request) -> web.Response:
        assert json.loads(request.query["filters"]) == {"label": ["com.docker.compose.project=mesh"]}
        self.lists += 1
        return web.json_response(self.containers)

    async def _inspect(self, request: web.Request) -> web.Response:
        if request.match_info["id"] != "registrar":
            return web.json_response({"message": "No such container"}, status=404)
        return web.json_response({"Config": {"Labels": MINE}})

    async def _events(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while (event := await self.events.get()) is not None:
            await response.write(json.dumps(event).encode() + b"\n")
        return response


def container(address: str) -> dict[str, Any]:
    labels = MINE | {
        "mizzen.workload": "ratings-v1",
        "mizzen.labels": "app=ratings",
        "mizzen.services": "ratings http:1",
    }
    return {
        "Id": "one",
        "Names": ["/ratings"],
        "State": "running",
        "Labels": labels,
        "NetworkSettings": {"Networks": {"mesh": {"IPAddress": address}}},
    }


@pytest.fixture
async def docker(tmp_path: Path) -> AsyncIterator[FakeDocker]:
    fake = FakeDocker()
    runner = await fake.start(tmp_path / "docker.sock")
    yield fake
    await runner.cleanup()


def settings(folder: Path, container: str = "registrar") -> Settings:
    return Settings(folder / "docker.sock", folder / "registry", "", container, "info")


async def eventually(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - files change without telling us
            await asyncio.sleep(0.01)


def said(folder: Path) -> str:
    file = folder / "registry" / "default" / "EndpointSlice-ratings-1.yaml"
    return file.read_text() if file.exists() else ""


async def test_the_folder_follows_docker_also_after_its_stream_broke(docker: FakeDocker, tmp_path: Path) -> None:
    docker.containers = [container("172.18.0.5")]
    lifecycle = Lifecycle()
    running = asyncio.create_task(serve(settings(tmp_path), lifecycle))
    await eventually(lambda: "172.18.0.5" in said(tmp_path))
    docker.containers = []
    docker.events.put_nowait({"Action": "die", "Actor": {"ID": "one"}})
    await eventually(lambda: not said(tmp_path))
    docker.containers = [container("172.18.0.9")]
    docker.events.put_nowait(None)
    await eventually(lambda: "172.18.0.9" in said(tmp_path))
    lifecycle.stop("the test ends")
    await running


async def test_a_signal_takes_the_endpoint_out_before_the_container_ends(docker: FakeDocker, tmp_path: Path) -> None:
    docker.containers = [container("172.18.0.5")]
    lifecycle = Lifecycle()
    running = asyncio.create_task(serve(settings(tmp_path), lifecycle))
    await eventually(lambda: "172.18.0.5" in said(tmp_path))
    docker.events.put_nowait({"Action": "kill", "Actor": {"ID": "one", "Attributes": {"signal": "15"}}})
    await eventually(lambda: not said(tmp_path))
    lifecycle.stop("the test ends")
    await running


async def test_who_died_stays_out_while_lists_still_show_it(docker: FakeDocker, tmp_path: Path) -> None:
    docker.containers = [container("172.18.0.5")]
    lifecycle = Lifecycle()
    running = asyncio.create_task(serve(settings(tmp_path), lifecycle))
    await eventually(lambda: "172.18.0.5" in said(tmp_path))
    docker.events.put_nowait({"Action": "die", "Actor": {"ID": "one"}})
    await eventually(lambda: not said(tmp_path))
    docker.containers = [container("172.18.0.9")]
    docker.events.put_nowait({"Action": "start", "Actor": {"ID": "one"}})
    await eventually(lambda: "172.18.0.9" in said(tmp_path))
    lifecycle.stop("the test ends")
    await running


@pytest.mark.parametrize("garbage", [None, {"message": "no"}, ["one"], [{}], [{"Id": "one", "Names": 5}], [{"Id": 1}]])
async def test_a_list_that_is_none_leaves_the_folder_as_it_is(
    docker: FakeDocker, tmp_path: Path, garbage: object
) -> None:
    docker.containers = [container("172.18.0.5")]
    lifecycle = Lifecycle()
    running = asyncio.create_task(serve(settings(tmp_path), lifecycle))
    await eventually(lambda: "172.18.0.5" in said(tmp_path))
    docker.containers, asked = garbage, docker.lists
    docker.events.put_nowait({"Action": "start", "Actor": {"ID": "two"}})
    await eventually(lambda: docker.lists > asked or running.done())
    assert "172.18.0.5" in said(tmp_path)
    docker.containers = [container("172.18.0.9")]
    await eventually(lambda: "172.18.0.9" in said(tmp_path) or running.done())
    lifecycle.stop("the test ends")
    await running
    assert "172.18.0.9" in said(tmp_path)


@pytest.mark.parametrize("garbage", [5, "die", [], {"Actor": "one"}, {"Actor": {"Attributes": [1]}, "Action": "kill"}])
async def test_an_event_that_is_none_ends_nothing(docker: FakeDocker, tmp_path: Path, garbage: object) -> None:
    docker.containers = [container("172.18.0.5")]
    lifecycle = Lifecycle()
    running = asyncio.create_task(serve(settings(tmp_path), lifecycle))
    await eventually(lambda: "172.18.0.5" in said(tmp_path))
    docker.events.put_nowait(garbage)
    docker.containers = [container("172.18.0.9")]
    docker.events.put_nowait(None)
    await eventually(lambda: "172.18.0.9" in said(tmp_path) or running.done())
    lifecycle.stop("the test ends")
    await running
    assert "172.18.0.9" in said(tmp_path)


async def test_a_registrar_that_starts_anew_leaves_no_gap(docker: FakeDocker, tmp_path: Path) -> None:
    docker.containers = [container("172.18.0.5")]
    for _ in range(2):
        lifecycle = Lifecycle()
        running = asyncio.create_task(serve(settings(tmp_path), lifecycle))
        await eventually(lambda: "172.18.0.5" in said(tmp_path))
        stamp = (tmp_path / "registry" / "default" / "EndpointSlice-ratings-1.yaml").stat().st_ino
        lifecycle.stop("the test ends")
        await running
    assert (tmp_path / "registry" / "default" / "EndpointSlice-ratings-1.yaml").stat().st_ino == stamp


async def test_a_container_without_a_project_is_told(docker: FakeDocker, tmp_path: Path) -> None:
    with pytest.raises(StartError, match="No such container"):
        await serve(settings(tmp_path, "stranger"), Lifecycle())


async def test_a_folder_that_cannot_be_one_is_told(docker: FakeDocker, tmp_path: Path) -> None:
    (tmp_path / "registry").write_text("a file")
    with pytest.raises(StartError, match="registry"):
        await serve(settings(tmp_path), Lifecycle())


async def test_docker_that_is_not_there_is_told_with_its_path(tmp_path: Path) -> None:
    async with Docker(tmp_path / "none.sock") as docker:
        with pytest.raises(DockerError, match=r"none\.sock"):
            await docker.containers("mesh")
