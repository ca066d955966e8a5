"""Load shedding: averages, rates, and what happens to calls."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from mizzen.mixer.server import calls as calls_module
from mizzen.mixer.server.calls import Calls
from mizzen.mixer.server.metrics import MethodMetrics
from mizzen.mixer.server.overload import Allowance, Limits, LoadShedder, Mode, MovingAverage
from mizzen.mixer.server.refusal import OVERLOADED, Refusal
from mizzen.mixer.status import Code

SERVICE = "istio.mixer.v1.Mixer"


def test_an_allowance_fills_with_time() -> None:
    allowance = Allowance(rate=10, burst=5, now=0)
    assert [allowance.take(1, 0) for _ in range(6)] == [True] * 5 + [False]
    assert allowance.take(1, 0.1)
    assert not allowance.take(1, 0.15)
    assert allowance.take(5, 100)
    assert not allowance.take(6, 200)


def test_a_refused_amount_costs_nothing() -> None:
    allowance = Allowance(rate=1, burst=2, now=0)
    assert not allowance.take(3, 0)
    assert allowance.take(2, 0)


def test_an_average_moves_half_way_in_its_half_life() -> None:
    average = MovingAverage(half_life=2, now=0)
    average.add(8, 0)
    assert average.value(0) == pytest.approx(0)
    assert average.value(2) == pytest.approx(4)
    assert average.value(4) == pytest.approx(6)
    average.add(0, 4)
    assert average.value(6) == pytest.approx(3)


def test_limits_are_off_by_default() -> None:
    shedder = LoadShedder(Limits(average_latency=0.001, requests_per_second=0.001), 0)
    shedder.observe(100, 1)
    assert not shedder.exceeded(1000, 50)


def test_latency_is_shed_until_refusals_bring_it_down() -> None:
    shedder = LoadShedder(Limits(Mode.ENFORCE, average_latency=0.1), 0)
    shedder.observe(1, 0)
    assert not shedder.exceeded(1, 0)
    assert "average latency is" in shedder.exceeded(1, 2)
    shedder.observe(0, 2)
    assert shedder.exceeded(1, 2)
    assert not shedder.exceeded(1, 8)


def test_latency_is_sampled_no_more_often_than_told() -> None:
    shedder = LoadShedder(Limits(Mode.ENFORCE, average_latency=0.1, latency_samples_per_second=1), 0)
    shedder.observe(0, 0)
    shedder.observe(100, 0.5)
    assert not shedder.exceeded(1, 10)
    shedder.observe(100, 10)
    assert shedder.exceeded(1, 20)


def test_a_report_costs_its_entries() -> None:
    shedder = LoadShedder(Limits(Mode.ENFORCE, requests_per_second=100, burst=10), 0)
    assert not shedder.exceeded(10, 0)
    assert shedder.exceeded(1, 0) == "more than 100 requests per second (at most 10 at once)"
    assert not shedder.exceeded(5, 0.05)
    assert shedder.exceeded(11, 100)


async def nothing() -> str:
    return "done"


def value(registry: CollectorRegistry, name: str, **labels: str) -> float | None:
    return registry.get_sample_value(name, labels or None)


@pytest.fixture
def run(make_calls: Callable[..., Calls]) -> Callable[..., Any]:
    """Runs a call through limits."""

    def start(limits: Limits | None = None, most_running: int = 100) -> Callable[..., Any]:
        calls = make_calls(limits, most_running)
        metrics = MethodMetrics(calls.metrics, SERVICE, "Check")
        return lambda work=nothing, cost=1: calls.run(metrics, cost, work)

    return start


METHOD = {"grpc_type": "unary", "grpc_service": SERVICE, "grpc_method": "Check"}


async def test_a_call_is_counted(run: Any, registry: CollectorRegistry) -> None:
    assert await run()() == "done"
    assert value(registry, "grpc_server_started_total", **METHOD) == 1
    assert value(registry, "grpc_server_handled_total", **METHOD, grpc_code="OK") == 1
    assert value(registry, "grpc_server_msg_received_total", **METHOD) == 1
    assert value(registry, "grpc_server_msg_sent_total", **METHOD) == 1
    assert value(registry, "grpc_server_handling_seconds_count", **METHOD) == 1
    assert value(registry, "mizzen_mixer_requests_running") == 0


async def test_calls_beyond_the_limit_are_refused(run: Any, registry: CollectorRegistry) -> None:
    call = run(Limits(Mode.ENFORCE, requests_per_second=0.001, burst=1))
    await call()
    with pytest.raises(Refusal) as refusal:
        await call()
    assert (refusal.value.code, refusal.value.message) == (Code.UNAVAILABLE, OVERLOADED)
    assert value(registry, "mixer_loadshedding_requests_throttled") == 1
    assert value(registry, "grpc_server_handled_total", **METHOD, grpc_code="Unavailable") == 1


async def test_limits_that_are_only_logged_refuse_nothing(
    run: Any, registry: CollectorRegistry, caplog: pytest.LogCaptureFixture
) -> None:
    call = run(Limits(Mode.LOG_ONLY, requests_per_second=0.001, burst=1))
    with caplog.at_level(logging.WARNING):
        assert [await call() for _ in range(20)] == ["done"] * 20
    assert value(registry, "mixer_loadshedding_requests_throttled") == 0
    (record,) = caplog.records  # not one for each call
    assert record.getMessage().startswith("Would have refused a call: more than 0.001")


async def test_what_is_under_way_is_bounded_always(run: Any, registry: CollectorRegistry) -> None:
    call = run(most_running=2)
    gate = asyncio.Event()
    waiting = [asyncio.ensure_future(call(gate.wait)) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(Refusal, match="overloaded"):
        await call()
    assert value(registry, "mizzen_mixer_requests_running") == 2
    gate.set()
    await asyncio.gather(*waiting)
    assert await call() == "done"


async def test_a_cancelled_call_gives_its_place_back(run: Any, registry: CollectorRegistry) -> None:
    call = run(most_running=1)
    waiting = asyncio.ensure_future(call(asyncio.Event().wait))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert await call() == "done"
    assert value(registry, "grpc_server_handled_total", **METHOD, grpc_code="Canceled") == 1


async def test_a_call_takes_no_longer_than_its_time(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls_module, "CALL_SECONDS", 0.001)
    with pytest.raises(Refusal) as refusal:
        await run()(asyncio.Event().wait)
    assert refusal.value.code is Code.DEADLINE_EXCEEDED


async def test_a_fault_is_told_without_its_details(run: Any, caplog: pytest.LogCaptureFixture) -> None:
    async def fault() -> None:
        raise TimeoutError("secret")

    with pytest.raises(Refusal) as refusal:
        await run()(fault)
    assert refusal.value.code is Code.INTERNAL
    assert "secret" not in refusal.value.message
    assert "secret" in caplog.text
