"""Tokens fetched ahead, as tables of what is asked, granted and used."""

from __future__ import annotations

import asyncio

import pytest

from mizzen.attributes.bag import DictBag
from mizzen.proxy.app.mixer import checks
from mizzen.proxy.app.mixer.contract import Batch, CallFailed, Decision, Grant, Question
from mizzen.proxy.app.mixer.quota import CLOSE_WAIT, MIN_PREFETCH, Prefetch, charges
from mizzen.proxy.app.mixer.quota_cache import Order, QuotaCache
from mizzen.proxy.app.mixer.statistics import CallStats
from mizzen.proxy.engine.control import CheckAnswer
from mizzen.proxy.engine.mixer_plan import MixerContext, QuotaClause, QuotaRulePlan, TransportPlan


def granting(*grants: tuple[int, float]) -> Prefetch:
    """One that has tokens: amounts, and the times at which they go bad."""
    prefetch = Prefetch()
    for amount, seconds in grants:
        prefetch.granted(amount, amount, seconds, 0.0)
    return prefetch


def test_no_token_is_used_before_it_is_granted() -> None:
    prefetch = Prefetch()
    woken: list[str] = []
    assert prefetch.wants(1, 0.0) == MIN_PREFETCH
    assert not prefetch.take(1, 0.0)
    assert prefetch.wants(1, 0.0) == 0, "one call at a time"
    prefetch.waiting += [lambda: woken.append("a"), lambda: woken.append("b")]
    prefetch.granted(10, 4, 60.0, 0.1)
    assert woken == ["a", "b"]
    assert [prefetch.take(1, 0.1) for _ in range(5)] == [True] * 4 + [False]
    assert (prefetch.open, prefetch.waiting) == (False, [])


def test_a_closed_quota_is_asked_for_again_only_after_a_while() -> None:
    prefetch = Prefetch()
    assert prefetch.wants(1, 0.0) == 10
    prefetch.granted(10, 0, 60.0, 0.0)
    assert not prefetch.take(1, 0.1)
    assert prefetch.wants(1, 0.1) == 0
    assert prefetch.wants(1, CLOSE_WAIT) == 10
    assert prefetch.wants(1, 2 * CLOSE_WAIT) == 0, "one call at a time"
    prefetch.granted(10, 10, 60.0, 1.0)
    assert prefetch.open
    assert prefetch.available(1.0) == 10


@pytest.mark.parametrize(("used", "asked"), [(1, 10), (9, 10), (25, 25)])
def test_as_much_is_asked_for_as_was_used_in_the_last_second(used: int, asked: int) -> None:
    prefetch = Prefetch()
    prefetch.count(used, 10.0)
    assert prefetch.wants(1, 10.5) == asked
    prefetch.granted(asked, 0, 60.0, 10.5)
    assert prefetch.wants(1, 20.0) == 10, "what is older does not count"


def test_more_is_fetched_when_less_than_half_is_left() -> None:
    prefetch = granting((10, 60.0))
    for number in range(5):
        prefetch.count(1, number)
        assert prefetch.wants(1, number) == 0
        assert prefetch.take(1, number)
    assert prefetch.take(1, 5)
    assert prefetch.wants(1, 5) == 10
    assert prefetch.wants(1, 5) == 0, "one is under way"
    assert prefetch.take(1, 5), "what is there may be used meanwhile"


def test_tokens_go_bad() -> None:
    prefetch = granting((10, 5.0))
    assert prefetch.take(1, 4.9)
    assert not prefetch.take(1, 5.0)


def test_large_amounts_need_all_of_it() -> None:
    prefetch = granting((3, 60.0), (3, 60.0))
    assert not prefetch.take(7, 0.0)
    assert prefetch.take(5, 0.0)
    assert prefetch.available(0.0) == 1


def test_requests_share_tokens_until_it_is_known_what_the_quota_counts_by() -> None:
    cache = QuotaCache()
    jason, mary = (DictBag({"user": name}) for name in ("jason", "mary"))
    first = cache.find("q", jason, 0.0)
    found: list[Prefetch] = []
    first.waiting.append(lambda: found.append(cache.find("q", mary, 0.0)))
    assert cache.find("q", mary, 0.0) is first
    order = Order(cache, "q", first, first.wants(1, 0.0))
    order.granted(10, 0.0, {"user": True}, jason, 0.0)
    assert cache.find("q", jason, 0.0) is first
    assert cache.find("q", mary, 0.0) is not first
    assert found[0] is not first, "who waited knows by then"
    assert len(cache) == 1


def test_a_mixer_that_cannot_be_asked_turns_nobody_away() -> None:
    cache = QuotaCache()
    bag = DictBag({})
    prefetch = cache.find("q", bag, 0.0)
    order = Order(cache, "q", prefetch, prefetch.wants(1, 0.0))
    order.failed(0.1)
    assert prefetch.open
    assert prefetch.take(10, 0.1)


class Mixer:
    """Allows everything, and is away as soon as tokens are fetched ahead."""

    def __init__(self, *, hangs: bool) -> None:
        self._hangs = hangs

    async def check(self, transport: TransportPlan, question: Question) -> Decision:
        if question.best_effort:
            if self._hangs:
                await asyncio.Event().wait()
            raise CallFailed(14, "away")
        answer = CheckAnswer(0, 0, references=frozenset(), valid_for=60.0, uses=1000)
        return Decision(answer, {name: Grant(amount) for name, amount in question.quotas.items()})

    def batch(self, transport: TransportPlan) -> Batch:
        raise NotImplementedError

    async def close(self) -> None:
        """Nothing is held."""


@pytest.mark.parametrize("hangs", [True, False])
async def test_requests_that_wait_for_tokens_in_vain_go_on(hangs: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "CALL_SECONDS", 0.02)
    tasks: list[asyncio.Task[None]] = []
    asking = checks.Checks(Mixer(hangs=hangs), CallStats(), lambda work: tasks.append(asyncio.create_task(work)))
    context = MixerContext(TransportPlan(fail_open=False), b"", check=True, report=True, quotas=RULES[:1])
    answers = [await asking.decide(context, {}, 1)]
    answers += await asyncio.gather(*(asking.decide(context, {}, 1) for _ in range(15)))
    assert [answer.code for answer in answers] == [0] * 16
    assert answers[1].quota_cache_hit
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


RULES = (
    QuotaRulePlan((), (("all", 1),)),
    QuotaRulePlan(((QuotaClause("path", "prefix", "/a"), QuotaClause("user", "any")),), (("a", 2),)),
    QuotaRulePlan(((QuotaClause("path", "exact", "/x"),), (QuotaClause("path", "regex", "/b.*"),)), (("b", 3),)),
)


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({}, {"all": 1}),
        ({"path": "/ab"}, {"all": 1}),
        ({"path": "/ab", "user": "jason"}, {"all": 1, "a": 2}),
        ({"path": "/ab", "user": 7}, {"all": 1}),
        ({"path": "/x"}, {"all": 1, "b": 3}),
        ({"path": "/bcd"}, {"all": 1, "b": 3}),
        ({"path": "/c/bcd"}, {"all": 1}),
    ],
)
def test_which_quotas_a_request_is_charged(attributes: dict[str, str | int], expected: dict[str, int]) -> None:
    assert charges(RULES, DictBag(attributes)) == expected
