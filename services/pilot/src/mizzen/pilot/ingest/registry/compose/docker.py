"""The two questions that a registrar asks Docker's API: which containers there are, and what happens to them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp

from mizzen.pilot.ingest.registry.compose.container import Container

API = "http://docker/v1.40"
"""Docker 19.03 and later, and Podman's emulation of it."""
PROJECT = "com.docker.compose.project"
ACTIONS = ("start", "die", "kill", "destroy", "pause", "unpause", "health_status")
"""Others, above all the exec of each health check, change nothing here."""
ANSWER_SECONDS = 10.0
MAX_EVENT_BYTES = 1 << 20


class DockerError(Exception):
    """Docker did not answer, or with an error; the text is for a person."""


class Docker:
    """Asks over a Unix socket, inside an `async with` block."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._parts = AsyncExitStack()
        self._client: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._client = await self._parts.enter_async_context(
            aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(self._path)), read_bufsize=MAX_EVENT_BYTES)
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._parts.aclose()

    async def project_of(self, container: str) -> str:
        """The compose project of a container; raises DockerError."""
        found = await self._json(f"/containers/{container}/json", {})
        with _reading(f"description of container {container}"):
            project = (found.get("Config", {}).get("Labels") or {}).get(PROJECT, "")
        if not project:
            raise DockerError(f"container {container} has no label {PROJECT}; name the project")
        return str(project)

    async def containers(self, project: str) -> list[Container]:
        """All containers of a compose project; raises DockerError."""
        query = {"all": "true", "filters": _filters(project)}
        found = await self._json("/containers/json", query)
        with _reading("list of containers"):
            return [Container.from_api(item) for item in found]

    async def events(self, project: str) -> AsyncIterator[Mapping[str, Any]]:
        """What happens to them, first of all an empty event as soon as nothing is missed any more.

        Ends with DockerError when Docker goes away.
        """
        query = {"filters": _filters(project, type=["container"], event=list(ACTIONS))}
        timeout = aiohttp.ClientTimeout(sock_connect=ANSWER_SECONDS)
        try:
            async with self._session.get(f"{API}/events", params=query, timeout=timeout) as response:
                await _check(response)
                yield {}
                async for line in response.content:
                    yield _event(line)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise DockerError(self._explain(error)) from error
        raise DockerError(f"{self._path}: Docker ended its stream of events")

    @property
    def _session(self) -> aiohttp.ClientSession:
        if self._client is None:
            raise RuntimeError("Docker is used outside of its `async with` block")
        return self._client

    async def _json(self, path: str, query: Mapping[str, str]) -> Any:
        timeout = aiohttp.ClientTimeout(total=ANSWER_SECONDS)
        try:
            async with self._session.get(f"{API}{path}", params=query, timeout=timeout) as response:
                await _check(response)
                return await response.json()
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise DockerError(self._explain(error)) from error

    def _explain(self, error: Exception) -> str:
        return f"{self._path}: {error or type(error).__name__}"


async def _check(response: aiohttp.ClientResponse) -> None:
    if response.status != 200:
        text = (await response.text())[:200].strip()
        raise DockerError(f"Docker answered {response.url.path} with status {response.status}: {text}")


def _event(line: bytes) -> Mapping[str, Any]:
    """One of the stream; raises DockerError for what is none."""
    with _reading("event"):
        match event := json.loads(line):
            case {"Action": str(), "Actor": {"ID": str(), **more}} if isinstance(more.get("Attributes", {}), dict):
                return dict(event)
        raise ValueError(f"it lacks an Action or an Actor with ID and Attributes: {str(event)[:200]}")


@contextmanager
def _reading(what: str) -> Iterator[None]:
    """Make a DockerError of everything that an answer of another shape does to its reader."""
    try:
        yield
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise DockerError(f"Docker's {what} cannot be read: {type(error).__name__}: {error}") from error


def _filters(project: str, **more: list[str]) -> str:
    return json.dumps({"label": [f"{PROJECT}={project}"], **more})
