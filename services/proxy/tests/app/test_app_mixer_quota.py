"""Tokens fetched ahead, as tables of what is asked, granted and used."""

from __future__ import annotations

import pytest

from mizzen.attributes.bag import DictBag
from mizzen.proxy.app.mixer.quota import CLOSE_WAIT, MIN_PREFETCH, Prefetch, charges
from mizzen.proxy.app.mixer.quota_cache import QuotaCache
from mizzen.proxy.engine.mixer_plan import QuotaClause, QuotaRulePlan


def test_the_first_requests_pass_before_the_answer_and_are_charged_after() -> None:
    prefetch = Prefetch()
    assert prefetch.wants(1, 0.0) == (MIN_PREFETCH, True)
    assert [prefetch.take(1, 0.0) for _ in range(3)] == [True] * 3
    prefetch.granted(10, 4, 60.0, 0.1, provisional=True)
    assert prefetch.available(0.1) == 1
    assert not prefetch.open


def test_a_closed_quota_is_asked_for_again_only_after_a_while() -> None:
    prefetch = Prefetch()
    assert prefetch.wants(1, 0.0) == (10, True)
    prefetch.granted(10, 0, 60.0, 0.0, provisional=True)
    assert not prefetch.take(1, 0.1)
    assert prefetch.wants(1, 0.1) == (0, False)
    asked, provisional = prefetch.wants(1, CLOSE_WAIT)
    assert (asked, provisional) == (10, False)
    assert prefetch.wants(1, 2 * CLOSE_WAIT) == (0, False), "one request at a time while it is closed"
    prefetch.granted(asked, asked, 60.0, 1.0, provisional=False)
    assert prefetch.open
    assert prefetch.available(1.0) == 10


@pytest.mark.parametrize(("used", "asked"), [(1, 10), (9, 10), (25, 26)])
def test_as_much_is_asked_for_as_was_used_in_the_last_second(used: int, asked: int) -> None:
    prefetch = Prefetch()
    prefetch._usage.add(used, 10.0)
    assert prefetch.wants(1, 10.5)[0] == asked
    assert Prefetch(_usage=prefetch._usage).wants(1, 20.0)[0] == 10, "what is older does not count"


def test_more_is_fetched_when_less_than_half_is_left() -> None:
    prefetch = Prefetch()
    prefetch.granted(10, 10, 60.0, 0.0, provisional=False)
    prefetch.in_flight = 0
    for number in range(5):
        assert prefetch.wants(1, number) == (0, False)
        assert prefetch.take(1, number)
    assert prefetch.take(1, 5)
    assert prefetch.wants(1, 5) == (10, False)
    assert prefetch.wants(1, 5) == (0, False), "one is under way"


def test_tokens_go_bad() -> None:
    prefetch = Prefetch()
    prefetch.granted(10, 10, 5.0, 0.0, provisional=False)
    assert prefetch.take(1, 4.9)
    assert not prefetch.take(1, 5.0)


def test_large_amounts_need_all_of_it() -> None:
    prefetch = Prefetch()
    prefetch.granted(3, 3, 60.0, 0.0, provisional=False)
    prefetch.granted(3, 3, 60.0, 0.0, provisional=False)
    assert not prefetch.take(7, 0.0)
    assert prefetch.take(5, 0.0)
    assert prefetch.available(0.0) == 1


def test_requests_share_tokens_until_it_is_known_what_the_quota_counts_by() -> None:
    cache = QuotaCache()
    jason, mary = (DictBag({"user": name}) for name in ("jason", "mary"))
    first = cache.find("q", jason, 0.0)
    assert cache.find("q", mary, 0.0) is first
    order = cache.order("q", first, *first.wants(1, 0.0))
    order.granted(10, 0.0, {"user": True}, jason, 0.0)
    assert cache.find("q", jason, 0.0) is first
    assert cache.find("q", mary, 0.0) is not first
    assert len(cache) == 1


def test_a_mixer_that_cannot_be_asked_turns_nobody_away() -> None:
    cache = QuotaCache()
    bag = DictBag({})
    prefetch = cache.find("q", bag, 0.0)
    order = cache.order("q", prefetch, *prefetch.wants(1, 0.0))
    order.failed(0.1)
    assert prefetch.open
    assert prefetch.take(10, 0.1)


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
