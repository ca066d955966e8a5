"""One request judged over one plan: attributes generated, checks, quotas, header operations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, NamedTuple

from mizzen.attributes.bag import Bag, DictBag, OverlayBag, TrackedBag
from mizzen.attributes.values import Value
from mizzen.mixer.adapter import CheckResult, QuotaArgs, QuotaResult
from mizzen.mixer.expressions.errors import EvaluationError
from mizzen.mixer.runtime.calls import CallFailed, Calls
from mizzen.mixer.runtime.generate import generate
from mizzen.mixer.runtime.headers import operations
from mizzen.mixer.runtime.loads import Loads
from mizzen.mixer.runtime.outputs import OutputBag
from mizzen.mixer.runtime.plan import Plan, PlannedRule, Rules
from mizzen.mixer.runtime.verdicts import ALLOWED, Combined, combine
from mizzen.mixer.status import Code
from mizzen.mixer.verdict import Allotment, PolicyError, Verdict

UNLIMITED = timedelta(minutes=1)
"""How long a grant holds that no handler had to decide on."""
_NOTHING = QuotaResult(0)


class Prepared(NamedTuple):
    """A request with its generated attributes, and the rules for it."""

    rules: Rules
    bag: Bag
    generated: Mapping[str, Value]


class Judged(NamedTuple):
    """What the handlers say, and the rules that edit headers, each with what it may read for that."""

    combined: Combined
    editing: Sequence[tuple[PlannedRule, Bag]]


async def judge(
    plan: Plan, request: Bag, quotas: Mapping[str, QuotaArgs], deduplication_id: str, loads: Loads
) -> Verdict:
    """The verdict on a request; raises PolicyError."""
    tracked = TrackedBag(request)
    prepared = await prepare(plan, request, tracked)
    # What is read from now on by the check is not read by the quotas, and the other way round.
    beginning = tracked.fork() if quotas else None
    judged = await _check(prepared, loads)
    combined, status = judged.combined, judged.combined.status
    editing = judged.editing if status.code is Code.OK else ()
    allotments: Mapping[str, Allotment] = {}
    if beginning is not None and status.code is Code.OK:
        allotments = await _allot(prepared, beginning, quotas, deduplication_id)
    return Verdict(
        status=status,
        valid_duration=combined.valid_duration,
        valid_use_count=combined.valid_use_count,
        referenced=tracked.reads,
        quotas=allotments,
        request_headers=tuple(edit for rule, bag in editing for edit in operations(rule.request_headers, bag)),
        response_headers=tuple(edit for rule, bag in editing for edit in operations(rule.response_headers, bag)),
    )


async def prepare(plan: Plan, request: Bag, tracked: Bag) -> Prepared:
    """Generate attributes, and see which rules are for the request; raises PolicyError."""
    rules = plan.rules_for(tracked)
    if not rules.generate:
        return Prepared(rules, tracked, {})
    generated = await generate(rules.generate, request, tracked)
    if not generated:
        return Prepared(rules, tracked, {})
    bag = OverlayBag(DictBag(generated), tracked)
    return Prepared(plan.rules_for(bag), bag, generated)


async def _check(prepared: Prepared, loads: Loads) -> Judged:
    bag = prepared.bag
    calls = Calls()
    titles: list[str] = []
    errors: list[str] = []
    editing: list[PlannedRule] = []
    named: list[tuple[PlannedRule, str, int]] = []
    matched = 0
    for rule in prepared.rules.check:
        if not rule.matches(bag):
            continue
        matched += 1
        if rule.has_headers:
            editing.append(rule)
        for step in rule.steps:
            try:
                instance = step.build(bag)
            except EvaluationError as error:
                errors.append(str(error))
                continue
            destination = step.destination
            if step.action and rule.has_headers:
                named.append((rule, step.action, len(titles)))
            titles.append(destination.title)
            calls.add(destination, destination.handler.check(instance), CheckResult)
    if calls.waiting:
        await calls.finish()
    loads.add(matched, len(titles))
    outcomes = calls.outcomes
    errors += [str(outcome) for outcome in outcomes if isinstance(outcome, CallFailed)]
    if errors:
        raise PolicyError(f"performing check operation failed: {'; '.join(errors)}")
    combined = combine(zip(titles, outcomes, strict=True)) if outcomes else ALLOWED
    return Judged(combined, [(rule, _with_outputs(rule, named, outcomes, bag)) for rule in editing])


def _with_outputs(
    rule: PlannedRule, named: Sequence[tuple[PlannedRule, str, int]], outcomes: Sequence[Any], bag: Bag
) -> Bag:
    """What the header operations of a rule may read."""
    results = [(action, outcomes[place]) for owner, action, place in named if owner is rule]
    return OutputBag(results, bag) if results else bag


async def _allot(
    prepared: Prepared, beginning: TrackedBag, quotas: Mapping[str, QuotaArgs], deduplication_id: str
) -> dict[str, Allotment]:
    """What each quota gives.

    One that no rule has, or whose rule is not for this request, gives everything; a handler that fails gives nothing.
    Of several answers the first one counts.
    """
    calls = Calls()
    places: dict[str, tuple[TrackedBag, QuotaResult | range]] = {}
    for name, asked in quotas.items():
        own = beginning.fork()
        bag = OverlayBag(DictBag(prepared.generated), own) if prepared.generated else own
        args = QuotaArgs(asked.amount, asked.best_effort, deduplication_id + name)
        first = len(calls.outcomes)
        is_broken = False
        for entry in prepared.rules.quota.get(name.lower(), ()):
            if not entry.rule.matches(bag):
                continue
            try:
                instance = entry.step.build(bag)
            except EvaluationError:
                is_broken = True
                continue
            destination = entry.step.destination
            calls.add(destination, destination.handler.quota(instance, args), QuotaResult)
        answers = range(first, len(calls.outcomes))
        everything = QuotaResult(asked.amount, UNLIMITED)
        places[name] = own, _NOTHING if is_broken else answers or everything
    if calls.waiting:
        await calls.finish()
    return {
        name: Allotment(_first(calls.outcomes, given) if isinstance(given, range) else given, own.reads)
        for name, (own, given) in places.items()
    }


def _first(outcomes: list[object], answers: range) -> QuotaResult:
    """The first answer; nothing where any handler failed, as in Istio."""
    given = [outcomes[place] for place in answers]
    if any(isinstance(outcome, CallFailed) for outcome in given):
        return _NOTHING
    result = given[0]
    assert isinstance(result, QuotaResult)  # noqa: S101 - Calls has seen to it
    return result
