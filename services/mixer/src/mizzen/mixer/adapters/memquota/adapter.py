"""memquota's parameters and answers. Source: mixer/adapter/memquota at Istio 1.0.9."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Annotated, ClassVar

from pydantic import Field

from mizzen.api.types import Duration, DurationOrZero, Model
from mizzen.mixer.adapter import Environment, Handler, QuotaArgs, QuotaResult
from mizzen.mixer.adapters import metrics
from mizzen.mixer.adapters.base import HandlerBase, as_kind
from mizzen.mixer.adapters.limits import by_instance, override_for
from mizzen.mixer.adapters.memquota.counters import Counters, Key, Limit, key_of
from mizzen.mixer.adapters.memquota.dedup import Recent
from mizzen.mixer.adapters.params import read
from mizzen.mixer.templates import Instance, Quota

Amount = Annotated[int, Field(ge=0, lt=2**63)]


class Override(Model):
    """Another limit for requests with these dimensions."""

    dimensions: dict[str, str] = Field(default_factory=dict)
    max_amount: Amount = 0
    valid_duration: DurationOrZero = timedelta()


class QuotaLimit(Model):
    """The limit of one instance, by its full name; a validDuration of 0 allots for good."""

    name: str
    max_amount: Amount = 0
    valid_duration: DurationOrZero = timedelta()
    overrides: tuple[Override, ...] = ()


class Params(Model):
    """Limits, and for how long an answer is remembered under its deduplication id."""

    quotas: tuple[QuotaLimit, ...] = ()
    min_deduplication_duration: Duration = timedelta(seconds=1)


class MemQuotaHandler(HandlerBase):
    """Answers from the counters of this process. The status is always OK."""

    def __init__(self, name: str, params: Params, limits: Mapping[str, QuotaLimit], clock: Callable[[], float]) -> None:
        self._limits = limits
        self._clock = clock
        self._counters = Counters()
        self._counts = metrics.QuotaCounts(name)
        self._cells, self._evicted = metrics.CELLS.labels(name), metrics.EVICTED.labels(name)
        self._answers: Recent[tuple[int, float]] = Recent(params.min_deduplication_duration.total_seconds())

    async def quota(self, instance: Instance, args: QuotaArgs) -> QuotaResult:
        wanted = as_kind(instance, Quota)
        now = self._clock()
        known = self._answers.find(args.deduplication_id, now)
        if known is not None:
            amount, expiry = known
            return QuotaResult(amount, timedelta(seconds=max(expiry - now, 0)))
        quota = self._limits[wanted.name]
        limit: Limit = override_for(quota.overrides, wanted.dimensions) or quota
        result = self._move(key_of(wanted.name, wanted.dimensions), args, limit, now)
        self._answers.keep(args.deduplication_id, (result.amount, now + result.valid_duration.total_seconds()))
        self._cells.set(len(self._counters))
        return result

    def _move(self, key: Key, args: QuotaArgs, limit: Limit, now: float) -> QuotaResult:
        if args.amount <= 0:
            return QuotaResult(self._counters.give_back(key, -args.amount, limit, now))
        evicted = self._counters.evicted
        granted = self._counters.take(key, args.amount, limit, now, best_effort=args.best_effort)
        self._evicted.inc(self._counters.evicted - evicted)
        self._counts.note(args.amount, granted)
        # An answer of nothing, to who wanted all or nothing, is not to be kept: the next tick may have room.
        kept = granted or args.best_effort
        return QuotaResult(granted, limit.valid_duration if kept else timedelta())


class MemQuota:
    """Builds handlers that count in memory."""

    name: ClassVar[str] = "memquota"
    templates: ClassVar[frozenset[str]] = frozenset({"quota"})

    async def build(self, params: Mapping[str, object], environment: Environment) -> Handler:
        known = read(Params, params)
        return MemQuotaHandler(environment.name, known, by_instance(known.quotas, environment), time.monotonic)


ADAPTER = MemQuota()
