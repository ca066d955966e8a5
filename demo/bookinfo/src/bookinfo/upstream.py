"""Calls to the other services."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

import aiohttp
from aiohttp import web

from bookinfo.settings import Settings

CLIENT = web.AppKey("client", aiohttp.ClientSession)
MAX_CONNECTIONS = 256
KEEPALIVE_SECONDS = 15.0  # below the idle limit of every proxy we know, so that a reused connection is alive


class UpstreamError(Exception):
    """The service did not give a usable answer; `status` is what it said, or 502 or 504 for none."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


async def client_context(app: web.Application) -> AsyncIterator[None]:
    """One client session for the lifetime of the application (an aiohttp cleanup context)."""
    connector = aiohttp.TCPConnector(limit=MAX_CONNECTIONS, keepalive_timeout=KEEPALIVE_SECONDS)
    async with aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar()) as client:
        app[CLIENT] = client
        yield


async def fetch_json(
    client: aiohttp.ClientSession, settings: Settings, url: str, headers: Mapping[str, str], seconds: float
) -> Any:
    """GET a JSON document; raises UpstreamError for everything else, within the given time."""
    timeout = aiohttp.ClientTimeout(total=seconds)
    try:
        async with client.get(url, headers=headers, proxy=settings.proxy, timeout=timeout) as answer:
            if answer.status != 200:
                raise UpstreamError(answer.status, f"{url} answered {answer.status}")
            return await answer.json(content_type=None)
    except TimeoutError:
        raise UpstreamError(504, f"{url} did not answer within {seconds} s") from None
    except (aiohttp.ClientError, OSError, ValueError) as error:
        raise UpstreamError(502, f"{url}: {error}") from error
