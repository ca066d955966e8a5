"""Reports to Mixer: the hot path appends finished exchanges, a timer hands them to the agent in batches."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mizzen.proxy.codec.headers import block
from mizzen.proxy.engine.control import CheckFacts, FromWorker, ReportRecord, Reports, ResponseFacts
from mizzen.proxy.engine.mixer_plan import MixerContext
from mizzen.proxy.io.exchange import Exchange
from mizzen.proxy.io.mixer import Guard, MixerClient, request_facts

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

INTERVAL = 0.1
"""Seconds between batches."""
BATCH = 200
"""Exchanges handed over at once; traffic passes between batches."""
LIMIT = 50_000
"""Exchanges that may wait; more are dropped and counted."""


class ReportQueue:
    """What of a worker is to be reported."""

    def __init__(self, loop: asyncio.AbstractEventLoop, client: MixerClient) -> None:
        self.congested: Callable[[], bool] = lambda: False
        """Whether the agent has not read what it was given before."""
        self.dropped = 0
        """Reports that nobody will hear."""
        self._client = client
        self._loop = loop
        self._finished: list[tuple[MixerContext, Exchange]] = []
        self._ticking = False

    def add(self, context: MixerContext, x: Exchange) -> None:
        """Keep a finished exchange until the next batch."""
        self._client.stats.total_report_calls += 1
        if len(self._finished) >= LIMIT:
            self.dropped += 1
            return
        self._finished.append((context, x))
        if not self._ticking:
            self._ticking = True
            self._loop.call_later(INTERVAL, self._tick)

    def flush(self) -> None:
        """Hand over all that waits."""
        while self._finished:
            self._send(self._finished[:BATCH])
            del self._finished[:BATCH]

    def _tick(self) -> None:
        if not self.congested():
            self._send(self._finished[:BATCH])
            del self._finished[:BATCH]
        self._ticking = bool(self._finished)
        if self._ticking:
            more = len(self._finished) >= BATCH and not self.congested()
            self._loop.call_later(0.0 if more else INTERVAL, self._tick)

    def _send(self, finished: list[tuple[MixerContext, Exchange]]) -> None:
        post: Callable[[FromWorker], None] | None = self._client.post
        if post is None:
            self.dropped += len(finished)
            return
        places: dict[int, int] = {}
        contexts: list[MixerContext] = []
        records: list[ReportRecord] = []
        for context, x in finished:
            place = places.get(id(context))
            if place is None:
                place = places[id(context)] = len(contexts)
                contexts.append(context)
            records.append((place, request_facts(x), response_facts(x), check_facts(x)))
        post(Reports(tuple(contexts), tuple(records)))


class MixerLog:
    """A listener's reports, in the place of an access log."""

    __slots__ = ("_guard", "_queue")

    def __init__(self, guard: Guard, queue: ReportQueue) -> None:
        self._guard = guard
        self._queue = queue

    def append(self, record: Exchange) -> None:
        """Report a finished exchange if its service wants that."""
        plan = (record.context or self._guard.unrouted()).plan
        if plan.report:
            self._queue.add(plan, record)


def response_facts(x: Exchange) -> ResponseFacts:
    """What became of a request."""
    return (
        x.status,
        block(x.response_head) if x.response_head else b"",
        block(x.response_trailers) if x.response_trailers else b"",
        x.bytes_received,
        x.bytes_sent,
        x.downstream.runtime.unix_time(x.response_started_at) if x.response_started_at else 0.0,
        x.duration or 0.0,
        x.flags,
        x.upstream_host,
    )


def check_facts(x: Exchange) -> CheckFacts:
    """What Mixer said."""
    verdict = x.verdict
    if verdict is None:
        return None
    hit = x.check_cached or verdict.answer.cache_hit
    return (verdict.code, verdict.message if verdict.code else "", hit, verdict.answer.quota_cache_hit)
