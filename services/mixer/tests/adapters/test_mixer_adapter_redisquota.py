"""redisquota: against a real Redis server on a Unix socket of its own, with a clock of the test's."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from mizzen.mixer.adapter import AdapterError, Environment, Handler, QuotaArgs, QuotaResult, Use
from mizzen.mixer.adapters.redisquota.adapter import EXHAUSTED, Params, RedisQuota, RedisQuotaHandler
from mizzen.mixer.adapters.redisquota.store import Store, Window, hash_of
from mizzen.mixer.status import Code
from mizzen.mixer.templates import Quota

pytestmark = pytest.mark.redis

NAME = "requestcount.quota.istio-system"
START = 4_000_000_000_000  # ms: a time that is to come, so that Redis keeps what expires after it


class Clock:
    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> int:
        return self.now


@pytest.fixture
async def redis(tmp_path: Path) -> AsyncIterator[str]:
    """A Redis server's URL. The tests need the program `redis-server`, which Debian's package of that name has."""
    program = shutil.which("redis-server") or "redis-server"
    socket = tmp_path / "redis.sock"
    arguments = ("--port", "0", "--unixsocket", str(socket), "--save", "", "--dir", str(tmp_path))
    process = await asyncio.create_subprocess_exec(program, *arguments, stdout=asyncio.subprocess.PIPE)
    async with asyncio.timeout(20):
        async for line in process.stdout:
            if b"ready to accept connections" in line.lower():
                break
    yield f"unix://{socket}"
    if process.returncode is None:
        process.kill()
    await process.communicate()


def handler_of(url: str, clock: Clock, **quota: object) -> RedisQuotaHandler:
    params = Params.model_validate({"quotas": [{"name": NAME, **quota}]})
    return RedisQuotaHandler("test.redisquota.default", {q.name: q for q in params.quotas}, Store(url, 2, clock))


async def take(handler: Handler, amount: int, *, best_effort=False, dedup="", **dimensions) -> QuotaResult:
    return await handler.quota(Quota(NAME, dimensions), QuotaArgs(amount, best_effort, dedup))


async def test_a_fixed_window(redis):
    clock = Clock()
    handler = handler_of(redis, clock, maxAmount=5, validDuration="1s")
    assert await take(handler, 3) == QuotaResult(3, timedelta(seconds=1))
    clock.now += 400
    assert await take(handler, 3) == QuotaResult(0, status=EXHAUSTED)
    assert await take(handler, 3, best_effort=True) == QuotaResult(2, timedelta(milliseconds=600))
    assert await take(handler, 1, best_effort=True) == QuotaResult(0, status=EXHAUSTED)
    clock.now += 600
    assert await take(handler, 5) == QuotaResult(5, timedelta(seconds=1))
    await handler.close()


async def test_a_rolling_window(redis):
    clock = Clock()
    handler = handler_of(redis, clock, maxAmount=5, validDuration="1s", bucketDuration="100ms", rateLimitAlgorithm=1)
    assert await take(handler, 3) == QuotaResult(3, timedelta(seconds=1))
    clock.now += 500
    assert (await take(handler, 2)).amount == 2
    clock.now += 499
    assert await take(handler, 1, best_effort=True) == QuotaResult(0, status=EXHAUSTED)
    clock.now += 1
    assert (await take(handler, 4, best_effort=True)).amount == 3
    clock.now += 499
    assert (await take(handler, 1, best_effort=True)).amount == 0
    clock.now += 1
    assert (await take(handler, 2)).amount == 2
    await handler.close()


@pytest.mark.parametrize("more", [{}, {"rateLimitAlgorithm": "ROLLING_WINDOW", "bucketDuration": "10ms"}])
async def test_a_repeated_call_takes_nothing_twice(redis, more):
    clock = Clock()
    handler = handler_of(redis, clock, maxAmount=5, validDuration="1s", **more)
    assert (await take(handler, 3, dedup="call-1")).amount == 3
    clock.now += 100
    assert await take(handler, 3, dedup="call-1") == QuotaResult(3, timedelta(milliseconds=900))
    assert (await take(handler, 2, dedup="call-2")).amount == 2
    await handler.close()


@pytest.mark.parametrize("more", [{}, {"rateLimitAlgorithm": "ROLLING_WINDOW", "bucketDuration": "10ms"}])
async def test_units_given_back(redis, more):
    clock = Clock()
    handler = handler_of(redis, clock, maxAmount=5, validDuration="1s", **more)
    await take(handler, 4)
    clock.now += 100
    assert await take(handler, -3) == QuotaResult(3)
    assert (await take(handler, 4)).amount == 4
    assert await take(handler, -9) == QuotaResult(5)
    assert await take(handler, 0) == QuotaResult(0)
    await handler.close()


async def test_only_overrides_count_apart(redis):
    overrides = [
        {"dimensions": {"destination": "ratings", "user": "anna"}, "maxAmount": 2},
        {"dimensions": {"destination": "ratings"}, "maxAmount": 1},
    ]
    handler = handler_of(redis, Clock(), maxAmount=3, validDuration="1s", overrides=overrides)

    async def most(**dimensions: str) -> int:
        return (await take(handler, 10, best_effort=True, **dimensions)).amount

    assert await most(destination="details", user="anna") == 3
    assert await most(destination="reviews", user="bob") == 0
    assert await most(destination="ratings", user="anna") == 2
    assert await most(destination="ratings", user="bob") == 1
    assert await most(destination="ratings", user="carl") == 0
    await handler.close()


async def test_handlers_share_what_is_in_redis_and_take_it_whole(redis):
    clock = Clock()
    handlers = [handler_of(redis, clock, maxAmount=50, validDuration="1h") for _ in range(2)]
    answers = await asyncio.gather(*(take(handlers[n % 2], 1) for n in range(100)))
    assert sum(answer.amount for answer in answers) == 50
    for handler in handlers:
        await handler.close()


async def test_nothing_stays_in_redis_for_ever(redis):
    store = Store(redis, 2)
    for window in (Window(60_000), Window(60_000, 1_000)):
        await store.take(f"k{window.bucket}", 5, window, QuotaArgs(1, deduplication_id="id"))
    client = store._client
    keys = sorted(await client.keys())
    assert keys == [b"id-k0.meta", b"id-k1000.meta", b"k0.meta", b"k1000.data"]
    assert all([0 < await client.pttl(key) <= 61_000 for key in keys])
    await store.close()


def test_the_hash_of_dimensions_is_istios():
    assert hash_of({}) == 0x811C9DC5
    assert hash_of({"destination": "ratings"}) != hash_of({"destination": "x"})
    # FNV-1a's own published check value, through the one place where a key and a value meet.
    assert _fnv1a(b"foobar") == 0xBF9CF968
    assert hash_of({"a": "b", "c": "d"}) == _fnv1a(b"a\tb\nc\td\n")


def _fnv1a(data: bytes) -> int:
    number = 0x811C9DC5
    for byte in data:
        number = ((number ^ byte) * 0x01000193) % 2**32
    return number


async def test_it_is_built_from_istios_yaml(build, redis):
    params = {
        "redisServerUrl": redis,
        "connectionPoolSize": 10,
        "quotas": [
            {
                "name": NAME,
                "maxAmount": 500,
                "validDuration": "1s",
                "bucketDuration": "500ms",
                "rateLimitAlgorithm": "ROLLING_WINDOW",
                "overrides": [{"dimensions": {"destination": "productpage"}, "maxAmount": 2}],
            }
        ],
    }
    handler = await build("redisquota", params, uses=(Use(NAME, "quota", {}),))
    assert (await take(handler, 9, best_effort=True, destination="productpage")).amount == 2
    assert (await take(handler, 9, best_effort=True, destination="x")).amount == 9


@pytest.mark.parametrize("url", ["127.0.0.1:1", "unix:///no/such.sock"])
async def test_without_redis_nothing_is_granted(build, caplog, url):
    quotas = [{"name": NAME, "maxAmount": 5, "validDuration": "1s"}]
    handler = await build("redisquota", {"redisServerUrl": url, "quotas": quotas})
    assert "Redis does not answer" in caplog.text
    result = await take(handler, 1)
    assert (result.amount, result.status.code) == (0, Code.UNAVAILABLE)


async def test_redis_that_hangs_is_given_up(monkeypatch):
    monkeypatch.setattr("mizzen.mixer.adapters.redisquota.store.SECONDS", 0.02)
    writers: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(lambda _, writer: writers.append(writer), "127.0.0.1", 0)
    handler = handler_of(f"127.0.0.1:{server.sockets[0].getsockname()[1]}", Clock(), maxAmount=5, validDuration="1s")
    result = await take(handler, 1)
    assert (result.amount, result.status.code) == (0, Code.UNAVAILABLE)
    assert result.status.message.startswith("Redis failed: Timeout")
    await handler.close()
    server.close()
    for writer in writers:
        writer.close()
    await server.wait_closed()


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({}, "quotas: is required"),
        ({"quotas": [{"name": "q"}]}, "quotas[0].validDuration: is required"),
        ({"quotas": [{"name": "q", "validDuration": "0s"}]}, "quotas[0].validDuration: must be at least 1ms"),
        (
            {"quotas": [{"name": "q", "validDuration": "1s", "rateLimitAlgorithm": "ROLLING_WINDOW"}]},
            "quotas[0]: bucketDuration must be more than 0 and less than validDuration (1s), got 0s",
        ),
        (
            {"quotas": [{"name": "q", "validDuration": "1s", "overrides": [{"maxAmount": 1, "dimensions": {}}]}]},
            "quotas[0].overrides[0].dimensions",
        ),
        ({"quotas": [{"name": "q", "validDuration": "1s"}], "redisServerUrl": "http://x"}, "redisServerUrl: "),
        ({"quotas": [{"name": "q", "validDuration": "1s"}], "connectionPoolSize": 0}, "connectionPoolSize: must be"),
    ],
)
async def test_wrong_parameters_are_named(params, message):
    with pytest.raises(AdapterError) as raised:
        await RedisQuota().build(params, Environment("h", "n", ()))
    assert message in str(raised.value)
