"""The counters in Redis."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import resources
from typing import cast

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from mizzen.mixer.adapter import AdapterError, QuotaArgs

SECONDS = 1.0  # to connect, to get a connection, and to get an answer
_SCRIPT = resources.files(__package__).joinpath("take.lua").read_text()


@dataclass(frozen=True, slots=True)
class Window:
    """How units are counted: all since the window began, or (with buckets) those of the last `length`. In ms."""

    length: int
    bucket: int = 0


class Store:
    """Takes from quotas in one round trip. `now`, in ms, stands in for Redis' clock."""

    def __init__(self, url: str, connections: int, now: Callable[[], int] | None = None) -> None:
        options: dict[str, object] = {
            "max_connections": connections,
            "timeout": SECONDS,
            "socket_timeout": SECONDS,
            "socket_connect_timeout": SECONDS,
            "retry": Retry(NoBackoff(), 0),  # the time is bounded, and a repeated call is deduplicated by its id only
        }
        try:
            pool = BlockingConnectionPool.from_url(url if "://" in url else f"redis://{url}", **options)
        except ValueError as error:
            raise AdapterError(f"redisServerUrl: {error}") from None
        self._client = Redis(connection_pool=pool)
        self._take = self._client.register_script(_SCRIPT)
        self._now = now

    async def ping(self) -> None:
        """Raises RedisError when Redis does not answer."""
        await self._client.ping()

    async def take(self, key: str, limit: int, window: Window, args: QuotaArgs) -> tuple[int, int]:
        """Units granted (given back, when they are negative), and the ms for which that holds; raises RedisError."""
        answer = f"{args.deduplication_id}-{key}.meta" if args.deduplication_id else ""
        now = "" if self._now is None else self._now()
        values = (limit, window.length, window.bucket, args.amount, int(args.best_effort), now)
        granted, valid = cast("tuple[int, int]", await self._take([f"{key}.meta", f"{key}.data", answer], values))
        return granted, valid

    async def close(self) -> None:
        """Give the connections back."""
        await self._client.aclose()
        await self._client.connection_pool.disconnect()


def hash_of(dimensions: Mapping[str, str]) -> int:
    """FNV-1a, 32 bits, over `key TAB value LF` in order: what Istio appends to an override's key."""
    number = 0x811C9DC5
    for key in sorted(dimensions):
        for byte in f"{key}\t{dimensions[key]}\n".encode():
            number = (number ^ byte) * 0x01000193 & 0xFFFFFFFF
    return number


__all__ = ["RedisError", "Store", "Window", "hash_of"]
