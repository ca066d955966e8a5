"""redisquota's parameters and answers. Source: mixer/adapter/redisquota at Istio 1.0.9; overrides as in 1.1."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field, model_validator

from mizzen.api.syntax import format_duration
from mizzen.api.types import Duration, DurationOrZero, Int32, Model
from mizzen.mixer.adapter import Environment, Handler, QuotaArgs, QuotaResult
from mizzen.mixer.adapters import metrics
from mizzen.mixer.adapters.base import HandlerBase, as_kind
from mizzen.mixer.adapters.limits import by_instance, override_for
from mizzen.mixer.adapters.params import by_number, read
from mizzen.mixer.adapters.redisquota.store import RedisError, Store, Window, hash_of
from mizzen.mixer.status import OK, Code, Status
from mizzen.mixer.templates import Instance, Quota

log = logging.getLogger(__name__)

EXHAUSTED = Status(Code.RESOURCE_EXHAUSTED, "redisquota: Resource exhausted")
_MILLISECOND = timedelta(milliseconds=1)


class Algorithm(StrEnum):
    """When units come back: all at the window's end, or each bucket when it is as old as the window."""

    FIXED_WINDOW = "FIXED_WINDOW"
    ROLLING_WINDOW = "ROLLING_WINDOW"


class Override(Model):
    """Another limit, and a counter of its own, for requests with these dimensions."""

    dimensions: Annotated[dict[str, str], Field(min_length=1)]
    max_amount: Annotated[int, Field(gt=0, lt=2**53)]


class QuotaLimit(Model):
    """The limit of one instance, by its full name."""

    name: Annotated[str, Field(min_length=1)]
    max_amount: Annotated[int, Field(ge=0, lt=2**53)] = 0
    valid_duration: Duration
    bucket_duration: DurationOrZero = timedelta()
    rate_limit_algorithm: Annotated[Algorithm, by_number(Algorithm)] = Algorithm.FIXED_WINDOW
    overrides: tuple[Override, ...] = ()

    @model_validator(mode="after")
    def _bucket_fits(self) -> QuotaLimit:
        if self.rate_limit_algorithm is Algorithm.ROLLING_WINDOW and not (
            timedelta() < self.bucket_duration < self.valid_duration
        ):
            bucket, window = format_duration(self.bucket_duration), format_duration(self.valid_duration)
            raise ValueError(f"bucketDuration must be more than 0 and less than validDuration ({window}), got {bucket}")
        return self

    @property
    def window(self) -> Window:
        """As Redis counts it."""
        rolling = self.rate_limit_algorithm is Algorithm.ROLLING_WINDOW
        return Window(self.valid_duration // _MILLISECOND, self.bucket_duration // _MILLISECOND if rolling else 0)


class Params(Model):
    """Limits, and where Redis is: host:port, or a URL (redis://, rediss:// or unix://)."""

    quotas: Annotated[tuple[QuotaLimit, ...], Field(min_length=1)]
    redis_server_url: Annotated[str, Field(min_length=1)] = "localhost:6379"
    connection_pool_size: Annotated[Int32, Field(ge=1, le=1000)] = 10


class RedisQuotaHandler(HandlerBase):
    """Answers from Redis. While that does not answer, nothing is granted."""

    def __init__(self, name: str, limits: Mapping[str, QuotaLimit], store: Store) -> None:
        self._name = name
        self._limits = limits
        self._store = store
        self._counts = metrics.QuotaCounts(name)

    async def quota(self, instance: Instance, args: QuotaArgs) -> QuotaResult:
        wanted = as_kind(instance, Quota)
        quota = self._limits[wanted.name]
        override = override_for(quota.overrides, wanted.dimensions)
        key = f"{quota.name}-{hash_of(override.dimensions)}" if override else quota.name
        limit = override.max_amount if override else quota.max_amount
        try:
            with metrics.backend_call(self._name):
                units, valid = await self._store.take(key, limit, quota.window, args)
        except (RedisError, OSError) as error:
            log.warning("%s: nothing granted, for Redis failed: %s", self._name, error)
            return QuotaResult(0, status=Status(Code.UNAVAILABLE, f"Redis failed: {error}"))
        if args.amount <= 0:
            return QuotaResult(-units)
        self._counts.note(args.amount, units)
        return QuotaResult(units, valid * _MILLISECOND, OK if units else EXHAUSTED)

    async def close(self) -> None:
        await self._store.close()


class RedisQuota:
    """Builds handlers that count in Redis, whether or not it is there yet."""

    name: ClassVar[str] = "redisquota"
    templates: ClassVar[frozenset[str]] = frozenset({"quota"})

    async def build(self, params: Mapping[str, object], environment: Environment) -> Handler:
        known = read(Params, params)
        limits = by_instance(known.quotas, environment)
        store = Store(known.redis_server_url, known.connection_pool_size)
        try:
            await store.ping()
        except (RedisError, OSError) as error:
            # Istio does not build the handler then, and so grants everything until the configuration changes.
            log.warning("%s: Redis does not answer, and nothing is granted until it does: %s", environment.name, error)
        return RedisQuotaHandler(environment.name, limits, store)


ADAPTER = RedisQuota()
