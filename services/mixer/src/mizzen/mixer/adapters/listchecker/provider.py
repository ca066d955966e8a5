"""Keeps a list that somebody else publishes up to date."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable

import aiohttp

from mizzen.mixer.adapter import AdapterError
from mizzen.mixer.adapters import metrics
from mizzen.mixer.adapters.listchecker.entries import Entries
from mizzen.runtime.backoff import Backoff

log = logging.getLogger(__name__)

FETCH_SECONDS = 10.0
MAX_BYTES = 32 * 2**20


class Provider:
    """Fetches a list again and again. After a failure it tries sooner; what it has stays valid for `ttl` seconds."""

    def __init__(self, handler: str, url: str, parse: Callable[[str], Entries], refresh: float, ttl: float) -> None:
        self._handler = handler
        self._url = url
        self._parse = parse
        self._refresh = refresh
        self._ttl = ttl
        self._entries: Entries | None = None
        self._text: str | None = None
        self._expiry = 0.0
        self._failure = "it was not fetched yet"
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Fetch once, and from then on in the background."""
        await self._fetch()
        self._task = asyncio.create_task(self._run(), name=f"list of {self._handler}")

    def current(self, now: float) -> Entries:
        """The list; raises AdapterError with the reason why there is none."""
        if self._entries is not None and now >= self._expiry:
            log.warning("%s: the list from %s was not refreshed in time and is given up", self._handler, self._url)
            self._entries = self._text = None
            metrics.ENTRIES.labels(self._handler).set(0)
        if self._entries is None:
            raise AdapterError(f"no list from {self._url}: {self._failure}")
        return self._entries

    async def close(self) -> None:
        """Stop fetching."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        backoff = Backoff(base=min(1.0, self._refresh), maximum=self._refresh)
        good = not self._failure
        while True:
            await asyncio.sleep(self._refresh if good else backoff.next(random.random()))
            good = await self._fetch()
            if good:
                backoff.reset()

    async def _fetch(self) -> bool:
        try:
            with metrics.backend_call(self._handler):
                text = await _get(self._url)
                if text != self._text:
                    self._entries, self._text = self._parse(text), text
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            self._failure = str(error) or f"no answer within {FETCH_SECONDS:g}s"
            log.warning("%s: could not fetch the list from %s: %s", self._handler, self._url, self._failure)
            return False
        self._failure = ""
        self._expiry = asyncio.get_running_loop().time() + self._ttl
        metrics.ENTRIES.labels(self._handler).set(len(self._entries or ()))
        return True


async def _get(url: str) -> str:
    timeout = aiohttp.ClientTimeout(total=FETCH_SECONDS)
    async with aiohttp.ClientSession(timeout=timeout) as session, session.get(url) as response:
        if response.status != 200:
            raise ValueError(f"the answer is {response.status} {response.reason or ''}".rstrip())
        body = bytearray()
        async for chunk in response.content.iter_chunked(2**16):
            body += chunk
            if len(body) > MAX_BYTES:
                raise ValueError(f"the list is longer than {MAX_BYTES} bytes")
        return body.decode()
