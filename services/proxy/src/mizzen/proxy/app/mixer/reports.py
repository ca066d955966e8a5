"""Reports: collected as they come, sent in batches, kept for a while when Mixer is away."""

from __future__ import annotations

import asyncio
import logging
import random
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

from mizzen.attributes.errors import InvalidAttributes
from mizzen.attributes.values import Value
from mizzen.proxy.app.mixer.contract import Batch, CallFailed, MixerClient
from mizzen.proxy.app.mixer.statistics import CallStats
from mizzen.proxy.engine.mixer_plan import TransportPlan
from mizzen.proxy.engine.verdict import DEADLINE_EXCEEDED, UNAVAILABLE
from mizzen.runtime.backoff import Backoff

log = logging.getLogger(__name__)

MAX_ENTRIES: Final = 50_000
"""Reports that may wait for Mixer; the oldest ones make room and are counted."""
_AWAY: Final = frozenset({UNAVAILABLE, DEADLINE_EXCEEDED})
"""Codes after which the same report is sent again."""
_NOTHING: Final[Mapping[str, Value]] = {}


class ReportSender:
    """Everything that one Mixer is told. `close` in the end."""

    def __init__(self, transport: TransportPlan, mixer: MixerClient, stats: CallStats) -> None:
        self._transport = transport
        self._mixer = mixer
        self._stats = stats
        self._batch = mixer.batch(transport)
        self._full: deque[Batch] = deque()
        self._entries = 0
        """In `_full`."""
        self._in_flight = False
        """The first batch of `_full` is on its way: too late to leave it out."""
        self._timer: asyncio.TimerHandle | None = None
        self._ready = asyncio.Event()
        self._sending = asyncio.create_task(self._send(), name="mixer reports")

    def add(self, own: Mapping[str, Value], common: Mapping[str, Value] = _NOTHING) -> None:
        """Take one report in; see `Batch.add`."""
        try:
            self._batch.add(own, common)
        except InvalidAttributes as error:
            log.warning("a request cannot be reported: %s", error)
            self._stats.reports_dropped += 1
            return
        size = len(self._batch)
        if size >= self._transport.batch_entries or not self._transport.report_batch:
            self.flush()
        elif size == 1:
            self._timer = asyncio.get_running_loop().call_later(self._transport.batch_seconds, self.flush)

    def flush(self) -> None:
        """The batch is to be sent as it is."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        size = len(self._batch)
        if not size:
            return
        self._make_room(size)
        self._full.append(self._batch)
        self._entries += size
        self._batch = self._mixer.batch(self._transport)
        self._ready.set()

    async def close(self, seconds: float) -> None:
        """Send what is left within the time; the rest is lost and counted."""
        self.flush()
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self._full:  # noqa: ASYNC110 - once in the life of a proxy
                    await asyncio.sleep(0.01)
        self._sending.cancel()
        await asyncio.gather(self._sending, return_exceptions=True)
        while self._full:
            self._drop(self._full.popleft())

    def _make_room(self, size: int) -> None:
        oldest = int(self._in_flight)
        while len(self._full) > oldest and self._entries + size > MAX_ENTRIES:
            self._drop(self._full[oldest])
            del self._full[oldest]

    def _drop(self, batch: Batch) -> None:
        self._entries -= len(batch)
        self._stats.reports_dropped += len(batch)

    async def _send(self) -> None:
        backoff = Backoff(0.2, 5.0)
        while True:
            await self._ready.wait()
            if not self._full:
                self._ready.clear()
                continue
            batch = self._full[0]
            self._stats.total_remote_report_calls += 1
            self._in_flight = True
            try:
                await batch.send()
            except CallFailed as error:
                self._in_flight = False
                self._stats.total_remote_report_failures += 1
                if error.code in _AWAY:
                    log.warning("reports wait for Mixer: %s", error)
                    self._make_room(0)
                    await asyncio.sleep(backoff.next(random.random()))
                    continue
                log.error("Mixer refuses %d reports: %s", len(batch), error)
                self._stats.reports_dropped += len(batch)
            except Exception:
                log.exception("%d reports could not be sent", len(batch))
                self._stats.reports_dropped += len(batch)
            backoff.reset()
            self._in_flight = False
            self._full.popleft()
            self._entries -= len(batch)
