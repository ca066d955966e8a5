"""Fetches keys beside everything else: no push waits for it."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from typing import Final

from prometheus_client import CollectorRegistry, Counter

from mizzen.pilot.base.keysource import KeySource
from mizzen.pilot.ingest.keys.fetch import FetchError, fetch_keys
from mizzen.pilot.ingest.keys.schedule import Schedule

log = logging.getLogger(__name__)

MAX_AT_ONCE: Final = 16
"""Sources that are asked at a time."""
MAX_UNKNOWN: Final = 8
"""Of these, sources that have never answered: anybody may name any number of them, and all may be slow."""
SETTLE: Final = 5.0
"""Seconds that a start waits for sources."""
Fetch = Callable[[KeySource, float], Awaitable[str]]


class KeyKeeper:
    """Follows the sources that the mesh names; `known` is what the next mesh is built with."""

    def __init__(self, registry: CollectorRegistry, clock: Callable[[], float], fetch: Fetch = fetch_keys) -> None:
        self._schedule = Schedule()
        self._clock = clock
        self._fetch = fetch
        self._wake = asyncio.Event()
        self._places = asyncio.Semaphore(MAX_AT_ONCE)
        self._places_of_unknown = asyncio.Semaphore(MAX_UNKNOWN)
        self._succeeded = Counter(
            "pilot_jwks_resolver_network_fetch_success", "Key sets that were fetched.", registry=registry
        )
        self._failed = Counter(
            "pilot_jwks_resolver_network_fetch_fail", "Key sets that could not be fetched.", registry=registry
        )

    @property
    def known(self) -> Mapping[KeySource, str]:
        """The last good keys of each source."""
        return self._schedule.known

    def want(self, sources: Mapping[KeySource, float]) -> None:
        """Follow these sources, with their time-outs in seconds, and no others."""
        self._schedule.want(sources, self._clock())
        self._wake.set()

    async def settle(self, sources: Mapping[KeySource, float]) -> None:
        """Ask all sources once, all at a time: what is served first should know what can be known."""
        self.want(sources)
        async with asyncio.TaskGroup() as tasks:
            for source, seconds in self._schedule.begin(self._clock()):
                tasks.create_task(self._ask(source, min(seconds, SETTLE)))

    async def run(self, changed: Callable[[], None]) -> None:
        """Keep asking until cancelled; `changed` is called when `known` is another."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                for source, seconds in self._schedule.begin(self._clock()):
                    tasks.create_task(self._follow(source, seconds, changed))
                try:
                    async with asyncio.timeout_at(self._schedule.next_due()):
                        await self._wake.wait()
                        self._wake.clear()
                except TimeoutError:
                    continue

    async def _follow(self, source: KeySource, seconds: float, changed: Callable[[], None]) -> None:
        async with AsyncExitStack() as places:
            if source not in self.known:
                await places.enter_async_context(self._places_of_unknown)
            await places.enter_async_context(self._places)
            if await self._ask(source, seconds):
                changed()
        self._wake.set()

    async def _ask(self, source: KeySource, seconds: float) -> bool:
        """Whether something is known now that was not before, or the reverse."""
        try:
            keys = await self._fetch(source, seconds)
        except FetchError as error:
            self._failed.inc()
            is_news, given_up = self._schedule.failed(source, str(error), self._clock(), random.random())
            if is_news:
                log.warning("No keys for the tokens of %s: %s", source.issuer or source.shown, error)
            return given_up
        self._succeeded.inc()
        return self._schedule.succeeded(source, keys, self._clock())
