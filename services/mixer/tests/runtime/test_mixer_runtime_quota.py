"""Quotas: who is asked, what is granted where nobody can say, and what each one has read."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from runtime_support import Script, resource, rule, together

from mizzen.mixer.adapter import CheckResult, QuotaArgs, QuotaResult
from mizzen.mixer.status import Code, Status

MINUTE = timedelta(minutes=1)
SECOND = timedelta(seconds=1)
BASE = together(
    resource("noop", "a"),
    resource("noop", "b"),
    resource("checknothing", "nothing"),
    resource("quota", "count", "{dimensions: {user: source.user}}"),
    resource("quota", "bytes"),
)


async def test_a_quota_is_found_by_its_short_name_in_any_case(start):
    probe = await start(
        together(BASE, rule("q", "a: count.quota bytes.quota")),
        Script(quotas={"a": lambda instance, args: QuotaResult(3, SECOND)}),
    )
    verdict = await probe.check({"source.user": "bob"}, {"Count": 5})
    assert verdict.quotas["Count"].result == QuotaResult(3, SECOND)
    assert probe.script.asked == [
        ("a", "count.quota.istio-system", QuotaArgs(5, best_effort=True, deduplication_id="id-Count"))
    ]


async def test_a_quota_that_nobody_has_is_granted(start):
    probe = await start(BASE)
    assert (await probe.check({}, {"count": 5})).quotas["count"].result == QuotaResult(5, MINUTE)


async def test_a_quota_whose_rule_is_for_others_is_granted(start):
    probe = await start(together(BASE, rule("q", "a: count.quota", match='source.user == "eve"')))
    assert (await probe.check({"source.user": "bob"}, {"count": 5})).quotas["count"].result == QuotaResult(5, MINUTE)
    assert probe.script.asked == []


async def test_a_rule_that_is_for_the_request_decides_whatever_others_are_not(start):
    probe = await start(
        together(
            BASE,
            rule("p", "a: count.quota", match='source.user == "eve"'),
            rule("q", "b: count.quota", match='source.user == "bob"'),
        ),
        Script(quotas={"b": lambda instance, args: QuotaResult(0)}),
    )
    assert (await probe.check({"source.user": "bob"}, {"count": 5})).quotas["count"].result == QuotaResult(0)


async def test_of_several_answers_the_first_rules_counts(start):
    gate = asyncio.Event()

    async def slow(instance, args):
        await gate.wait()
        return QuotaResult(1, SECOND)

    def fast(instance, args):
        gate.set()
        return QuotaResult(2, SECOND)

    probe = await start(
        together(BASE, rule("p", "a: count.quota"), rule("q", "b: count.quota")), Script(quotas={"a": slow, "b": fast})
    )
    assert (await probe.check({"source.user": "bob"}, {"count": 5})).quotas["count"].result == QuotaResult(1, SECOND)


async def test_a_handler_that_fails_grants_nothing_and_the_check_stands(start):
    def fails(instance, args):
        raise OSError("gone")

    probe = await start(together(BASE, rule("q", "a: count.quota bytes.quota")), Script(quotas={"a": fails}))
    verdict = await probe.check({"source.user": "bob"}, {"count": 5, "bytes": 1, "other": 2})
    assert verdict.status.code is Code.OK
    assert {name: given.result for name, given in verdict.quotas.items()} == {
        "count": QuotaResult(0),
        "bytes": QuotaResult(0),
        "other": QuotaResult(2, MINUTE),
    }


async def test_an_instance_that_cannot_be_built_grants_nothing(start):
    probe = await start(together(BASE, rule("q", "a: count.quota")))
    assert (await probe.check({}, {"count": 5})).quotas["count"].result == QuotaResult(0)


async def test_a_refused_request_takes_of_no_quota(start):
    refusal = CheckResult(Status(Code.PERMISSION_DENIED, "no"))
    probe = await start(
        together(BASE, rule("q", "a: count.quota nothing.checknothing")), Script(checks={"a": lambda i: refusal})
    )
    assert (await probe.check({"source.user": "bob"}, {"count": 5})).quotas == {}
    assert probe.script.asked == []


async def test_each_quota_has_read_what_it_needed_and_no_more(start):
    probe = await start(
        together(
            BASE,
            rule("c", "a: nothing.checknothing", match='request.method == "GET"'),
            rule("q", "a: count.quota"),
            rule("r", "a: bytes.quota", match='request.path == "/"'),
        )
    )
    request = {"request.method": "GET", "request.path": "/", "source.user": "bob"}
    verdict = await probe.check(request, {"count": 1, "bytes": 1})
    identity = {"context.reporter.kind": False, "destination.namespace": False}
    assert verdict.referenced == {**identity, "request.method": True}
    assert verdict.quotas["count"].referenced == {**identity, "source.user": True}
    assert verdict.quotas["bytes"].referenced == {**identity, "request.path": True}
