"""Requests to the API server: list, watch, and whether a collection exists."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, NamedTuple, Protocol

import aiohttp

from mizzen.kubernetes.collections import JSON, Collection
from mizzen.kubernetes.lines import Lines
from mizzen.kubernetes.objects import Malformed
from mizzen.kubernetes.outages import Outages
from mizzen.kubernetes.server import Access

PAGE = 500
PARALLEL = 8
"""Lists under way at a time: each holds its whole collection as JSON."""
CONNECT_SECONDS = 10.0
REQUEST_SECONDS = 60.0
"""For a page of a list, or the head of a watch."""
MAX_STATUS_BYTES = 64 * 1024
CLOSE_SECONDS = 0.25
"""TLS says goodbye and hears it, and the loop closes the sockets: aiohttp does not wait for that (its documentation,
"Graceful Shutdown")."""
GRACE_SECONDS = 15.0
"""What a server may be late with ending a watch."""


class ApiError(Exception):
    """The API server's own refusal: an HTTP status, or an ERROR event in a watch."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(f"{status} {reason}: {message}".strip(" :"))
        self.status = status
        self.too_large = status == 504 and "resource version" in message.lower()
        """The server is younger than the version that it was asked for: it was restored from a backup."""


FAILURES = (ApiError, aiohttp.ClientError, OSError, TimeoutError, ValueError)
"""What may come of a request: all of it may be over in a moment."""


class Listed(Protocol):
    """What can be listed and watched: a collection, or one object of it."""

    @property
    def path(self) -> str: ...
    @property
    def field_selector(self) -> str: ...
    def accept(self, listing: bool) -> str: ...


class Listing(NamedTuple):
    """A collection at one version."""

    items: list[Any]
    version: str


class Event(NamedTuple):
    """One line of a watch: ADDED, MODIFIED, DELETED or BOOKMARK, and the object."""

    type: str
    object: Any


class Client:
    """Talks to one API server, which knows it by the name of `agent`; to be closed."""

    def __init__(self, access: Access, agent: str = "mizzen") -> None:
        self._access = access
        self._agent = agent
        self._opened: aiohttp.ClientSession | None = None
        self.outages = Outages()
        self._listing = asyncio.Semaphore(PARALLEL)

    async def close(self) -> None:
        """End all connections."""
        if self._opened is not None:
            await self._opened.close()
            self._opened = None
            await asyncio.sleep(CLOSE_SECONDS)

    async def list_all(self, collection: Listed) -> Listing:
        """All objects, page by page; all pages show the same version. Raises as `_get` does."""
        async with self._listing:
            return await self._list_all(collection)

    async def _list_all(self, collection: Listed) -> Listing:
        items: list[Any] = []
        token = ""
        while True:
            query = {"limit": str(PAGE)} | ({"continue": token} if token else {})
            try:
                page = await self._page(collection, query)
            except ApiError as error:
                if error.status != 410 or not token:
                    raise
                # The version of the earlier pages is gone: take all in one piece.
                items, page = [], await self._page(collection, {})
            metadata = page.get("metadata")
            if not isinstance(metadata, dict):
                raise Malformed("the API server sent a list without metadata")
            items += page.get("items") or []
            token = metadata.get("continue") or ""
            if not token:
                return Listing(items, _version(metadata))

    async def _page(self, collection: Listed, query: dict[str, str]) -> dict[str, Any]:
        return await self._get_object(collection.path, collection.accept(listing=True), _with(collection, query))

    @asynccontextmanager
    async def watch(self, collection: Listed, version: str, seconds: int) -> AsyncIterator[AsyncIterator[Event]]:
        """What happens after `version`, for `seconds` at most. Raises as `_get` does, also for ERROR events."""
        query = {
            "watch": "1",
            "allowWatchBookmarks": "true",
            "resourceVersion": version,
            "timeoutSeconds": str(seconds),
        }
        async with (
            asyncio.timeout(seconds + GRACE_SECONDS),
            self._get(collection.path, collection.accept(listing=False), _with(collection, query)) as response,
        ):
            yield _events(response)

    async def is_served(self, collection: Collection) -> bool:
        """Whether the API server has this collection. Raises as `_get` does."""
        if collection.kind.group:
            groups = await self._discover("/apis", "groups")
            versions = [version for group in groups for version in group.get("versions") or ()]
            if collection.api_version not in [version.get("groupVersion") for version in versions]:
                return False
        resources = await self._discover(collection.group_path, "resources")
        return collection.path.rpartition("/")[2] in [resource.get("name") for resource in resources]

    async def _discover(self, path: str, part: str) -> Sequence[dict[str, Any]]:
        """A list that the API server describes itself with."""
        found = (await self._get_object(path, JSON, {})).get(part)
        if not isinstance(found, list):
            raise Malformed(f"the API server's answer to {path} has no {part}")
        return found

    async def _get_object(self, path: str, accept: str, query: Mapping[str, str]) -> dict[str, Any]:
        async with asyncio.timeout(REQUEST_SECONDS), self._get(path, accept, query) as response:
            body = await response.read()
        found = await asyncio.to_thread(json.loads, body)
        if not isinstance(found, dict):
            raise Malformed(f"the API server's answer to {path} is not an object")
        return found

    async def get(self, path: str) -> dict[str, Any]:
        """One object. Raises as `_get` does."""
        return await self._get_object(path, JSON, {})

    async def send(self, method: str, path: str, item: Mapping[str, Any], content_type: str = JSON) -> Any:
        """Write an object; `path` may have a query. What it is now, or another answer. Raises as `_get` does."""
        body = json.dumps(item).encode()
        async with (
            asyncio.timeout(REQUEST_SECONDS),
            self._request(method, path, {"Accept": JSON, "Content-Type": content_type}, body=body) as response,
        ):
            return json.loads(await response.read())

    @asynccontextmanager
    async def _get(self, path: str, accept: str, query: Mapping[str, str]) -> AsyncIterator[aiohttp.ClientResponse]:
        """A response with status 200; raises one of FAILURES: ValueError stands for what is no JSON."""
        async with self._request("GET", path, {"Accept": accept}, query=query) as response:
            yield response

    @asynccontextmanager
    async def _request(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        *,
        query: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        server = self._access.server()
        login = {"Authorization": server.authorization} if server.authorization else {}
        async with asyncio.timeout(REQUEST_SECONDS):
            response = await self._session.request(
                method,
                f"{server.url}{path}",
                params=query,
                data=body,
                headers={"User-Agent": self._agent, **headers, **login},
                ssl=server.tls if server.tls is not None else True,
                server_hostname=server.tls_name,
                proxy=server.proxy,
            )
        async with response:
            if response.status not in (200, 201):
                raise await _refusal(response)
            yield response

    @property
    def _session(self) -> aiohttp.ClientSession:
        if self._opened is None:
            connector = aiohttp.TCPConnector(limit=0, socket_factory=_socket)  # one connection for each watch
            timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS)
            self._opened = aiohttp.ClientSession(connector=connector, timeout=timeout, trust_env=True)
        return self._opened


def _with(collection: Listed, query: dict[str, str]) -> dict[str, str]:
    return query | ({"fieldSelector": collection.field_selector} if collection.field_selector else {})


def _socket(address: aiohttp.AddrInfoType) -> socket.socket:
    """A socket that notices within half a minute when the other side is gone: a quiet watch sends nothing."""
    family, kind, protocol, _, _ = address
    made = socket.socket(family, kind, protocol)
    made.setblocking(False)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (("TCP_KEEPIDLE", 15), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 3)):
        if hasattr(socket, option):
            made.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
    return made


async def _refusal(response: aiohttp.ClientResponse) -> ApiError:
    async with asyncio.timeout(REQUEST_SECONDS):
        body = await response.content.read(MAX_STATUS_BYTES)
    try:
        return _error(json.loads(body), response.status)
    except ValueError:
        return ApiError(response.status, "", body[:200].decode("utf-8", "replace").strip())


async def _events(response: aiohttp.ClientResponse) -> AsyncIterator[Event]:
    lines = Lines()
    async for data in response.content.iter_any():
        for line in lines.feed(data):
            yield _event(line)


def _event(line: bytes) -> Event:
    found = json.loads(line)
    if not isinstance(found, dict) or not isinstance(found.get("object"), dict):
        raise Malformed("the API server sent an event without an object")
    event = Event(str(found.get("type")), found["object"])
    if event.type == "ERROR":
        raise _error(event.object, 0)
    return event


def _version(metadata: Mapping[str, Any]) -> str:
    version = metadata.get("resourceVersion")
    if not isinstance(version, str) or not version:
        raise Malformed("the API server sent a list without metadata.resourceVersion")
    return version


def _error(status: Any, code: int) -> ApiError:
    """The error that a Status object tells of."""
    if not isinstance(status, dict):
        status = {}
    stated = status.get("code")
    number = code or (stated if isinstance(stated, int) else 500)
    return ApiError(number, str(status.get("reason", "")), str(status.get("message", "")))
