"""memquota: cells, windows, overrides, deduplication. Time is given, never waited for."""

from __future__ import annotations

from collections import deque
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mizzen.mixer.adapter import AdapterError, QuotaArgs, QuotaResult, Use
from mizzen.mixer.adapters.limits import by_instance, override_for
from mizzen.mixer.adapters.memquota.adapter import MemQuotaHandler, Params
from mizzen.mixer.adapters.memquota.counters import Counters, key_of
from mizzen.mixer.adapters.memquota.dedup import Recent
from mizzen.mixer.adapters.memquota.window import RollingWindow
from mizzen.mixer.templates import Quota

NAME = "requestcount.quota.istio-system"


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def handler_of(clock: Clock, **quota: object) -> MemQuotaHandler:
    params = Params.model_validate({"quotas": [{"name": NAME, **quota}]})
    return MemQuotaHandler("test.memquota.istio-system", params, {q.name: q for q in params.quotas}, clock)


async def take(handler, amount, *, best_effort=False, dedup="", **dimensions):
    return await handler.quota(Quota(NAME, dimensions), QuotaArgs(amount, best_effort, dedup))


async def test_a_cell_allots_for_good_and_takes_back():
    handler = handler_of(Clock(), maxAmount=10)
    assert (await take(handler, 7)).amount == 7
    assert (await take(handler, 7)).amount == 0
    assert await take(handler, 7, best_effort=True) == QuotaResult(3)
    assert (await take(handler, -4)).amount == 4
    assert (await take(handler, 4)).amount == 4
    assert (await take(handler, -100)).amount == 10
    assert (await take(handler, 0)).amount == 0


async def test_a_window_gives_back_what_is_old():
    clock = Clock()
    handler = handler_of(clock, maxAmount=5, validDuration="1s")
    assert await take(handler, 3) == QuotaResult(3, timedelta(seconds=1))
    clock.now += 0.5
    assert (await take(handler, 2)).amount == 2
    assert await take(handler, 1) == QuotaResult(0)
    assert await take(handler, 1, best_effort=True) == QuotaResult(0, timedelta(seconds=1))
    clock.now += 0.5
    assert await take(handler, 4, best_effort=True) == QuotaResult(3, timedelta(seconds=1))
    clock.now += 10
    assert (await take(handler, 5)).amount == 5


async def test_a_fraction_of_a_second_counts_as_a_whole_one():
    clock = Clock()
    handler = handler_of(clock, maxAmount=1, validDuration="1.2s")
    await take(handler, 1)
    clock.now += 1.9
    assert (await take(handler, 1)).amount == 0
    clock.now += 0.1
    assert (await take(handler, 1)).amount == 1


async def test_every_dimension_counts_apart():
    handler = handler_of(Clock(), maxAmount=1, validDuration="1s")
    assert [(await take(handler, 1, source=source)).amount for source in "aba"] == [1, 1, 0]


async def test_the_first_override_that_fits_wins():
    overrides = [
        {"dimensions": {"destination": "ratings", "source": "reviews"}, "maxAmount": 2, "validDuration": "1s"},
        {"dimensions": {"destination": "ratings"}, "maxAmount": 1},
        {"dimensions": {"destination": "ratings"}, "maxAmount": 9},
    ]
    handler = handler_of(Clock(), maxAmount=5, validDuration="1s", overrides=overrides)
    many = [
        await take(handler, 6, best_effort=True, destination=d, source=s)
        for d, s in (("ratings", "reviews"), ("ratings", "x"), ("details", "reviews"))
    ]
    assert [answer.amount for answer in many] == [2, 1, 5]


async def test_a_repeated_call_takes_nothing_twice():
    clock = Clock()
    handler = handler_of(clock, maxAmount=5, validDuration="10s")
    assert await take(handler, 3, dedup="call-1") == QuotaResult(3, timedelta(seconds=10))
    clock.now += 0.5
    assert await take(handler, 3, dedup="call-1") == QuotaResult(3, timedelta(seconds=9.5))
    assert (await take(handler, 2, dedup="call-2")).amount == 2
    assert (await take(handler, 1)).amount == 0


def test_answers_are_forgotten_after_two_turns():
    recent: Recent[int] = Recent(1.0)
    assert recent.find("a", 100.0) is None
    recent.keep("a", 1)
    assert recent.find("a", 101.0) == 1
    assert recent.find("a", 101.9) == 1
    assert recent.find("a", 102.0) is None
    recent.keep("", 5)
    assert recent.find("", 102.0) is None


def test_answers_are_bounded():
    recent: Recent[int] = Recent(1.0, most=1)
    recent.find("a", 100.0)
    recent.keep("a", 1)
    recent.keep("b", 2)
    assert (recent.find("a", 100.0), recent.find("b", 100.0)) == (1, None)


def test_the_window_that_rests_longest_gives_way():
    counters = Counters(most=2)
    limit = Params.model_validate({"quotas": [{"name": NAME, "maxAmount": 1, "validDuration": "1h"}]}).quotas[0]
    keys = [key_of(NAME, {"user": user}) for user in "abc"]
    for key in (keys[0], keys[1], keys[0], keys[2]):
        counters.take(key, 1, limit, 0.0, best_effort=True)
    assert (len(counters), counters.evicted) == (2, 1)
    assert counters.take(keys[0], 1, limit, 0.0, best_effort=True) == 0
    assert counters.take(keys[1], 1, limit, 0.0, best_effort=True) == 1


def test_cells_never_give_way():
    counters = Counters(most=1)
    limit = Params.model_validate({"quotas": [{"name": NAME, "maxAmount": 1}]}).quotas[0]
    counters.take(key_of(NAME, {"user": "a"}), 1, limit, 0.0, best_effort=True)
    with pytest.raises(AdapterError, match="no room"):
        counters.take(key_of(NAME, {"user": "b"}), 1, limit, 0.0, best_effort=True)
    counters.give_back(key_of(NAME, {"user": "a"}), 1, limit, 0.0)
    assert len(counters) == 0


@given(st.lists(st.tuples(st.integers(0, 15), st.integers(-6, 6), st.booleans())))
def test_a_window_agrees_with_one_of_slots(steps):
    """The reference keeps every unit with the tick it was taken at."""
    window, reference, now = RollingWindow(ticks=10), deque(), 0
    for wait, amount, best_effort in steps:
        now += wait
        reference = deque(tick for tick in reference if now - tick < 10)
        if amount > 0:
            left = 8 - len(reference)
            expected = amount if amount <= left else left if best_effort else 0
            reference.extend([now] * expected)
            assert window.take(amount, 8, now, best_effort=best_effort) == expected
        else:
            expected = min(-amount, len(reference))
            for _ in range(expected):
                reference.pop()
            assert window.give_back(-amount, now) == expected
        assert window.used == len(reference)


def test_an_override_compares_texts():
    override = Params.model_validate({"quotas": [{"name": "q", "overrides": [{"dimensions": {"port": "80"}}]}]})
    overrides = override.quotas[0].overrides
    assert override_for(overrides, {"port": 80, "x": "y"}) is overrides[0]
    assert override_for(overrides, {"x": "y"}) is None


async def test_an_instance_without_limit_keeps_the_handler_from_being_built(build):
    use = Use("other.quota.istio-system", "quota", {})
    with pytest.raises(AdapterError, match=f"no limit for instance other.quota.istio-system.*{NAME}"):
        await build("memquota", {"quotas": [{"name": NAME, "maxAmount": 1}]}, uses=(use,))


async def test_it_is_built_from_istios_yaml(build):
    params = {
        "quotas": [
            {
                "name": NAME,
                "maxAmount": 5000,
                "validDuration": "1s",
                "overrides": [{"dimensions": {"destination": "ratings"}, "maxAmount": 1, "validDuration": "5s"}],
            }
        ]
    }
    handler = await build("memquota", params, uses=(Use(NAME, "quota", {}),))
    assert (await take(handler, 6000, best_effort=True)).amount == 5000
    assert (await take(handler, 2, best_effort=True, destination="ratings")).amount == 1


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"minDeduplicationDuration": "0s"}, "minDeduplicationDuration: must be at least 1ms"),
        ({"quotas": [{"maxAmount": 1}]}, "quotas[0].name: is required"),
        ({"quotas": [{"name": "q", "maxAmount": -1}]}, "quotas[0].maxAmount: must be at least 0"),
    ],
)
async def test_wrong_parameters_are_named(build, params, message):
    with pytest.raises(AdapterError) as raised:
        await build("memquota", params)
    assert message in str(raised.value)


def test_limits_are_found_by_instance():
    params = Params.model_validate({"quotas": [{"name": "a"}, {"name": "b"}]})
    from mizzen.mixer.adapter import Environment

    assert set(by_instance(params.quotas, Environment("h", "n", (Use("a", "quota", {}),)))) == {"a", "b"}
