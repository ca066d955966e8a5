"""One request narrated: which rules match, what they make of it, and what each handler says.

It walks the plan that judges requests. Checks are asked for real, and quotas where an amount is given; of reports
only the instances are built, and nothing is sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from mizzen.attributes.bag import Bag, TrackedBag
from mizzen.mixer.adapter import CheckResult, QuotaArgs, QuotaResult
from mizzen.mixer.expressions.errors import EvaluationError
from mizzen.mixer.runtime.calls import CallFailed, Calls
from mizzen.mixer.runtime.headers import operations
from mizzen.mixer.runtime.judge import Prepared, prepare
from mizzen.mixer.runtime.outputs import Named, OutputBag
from mizzen.mixer.runtime.plain import plain
from mizzen.mixer.runtime.plan import Plan, PlannedRule, Step
from mizzen.mixer.runtime.verdicts import combine
from mizzen.mixer.status import Code
from mizzen.mixer.verdict import PolicyError


async def explain(
    plan: Plan, request: Bag, quotas: Mapping[str, QuotaArgs], longest: timedelta = timedelta.max
) -> dict[str, object]:
    """A story for JSON.

    `generated` attributes, `rules` with their instances and answers, the `verdict` (or the `error` in its place), and
    what of the request was `read`. The verdict is kept for `longest` at most; where handlers allow more, that stands
    there as `uncapped_duration`.
    """
    tracked = TrackedBag(request)
    story: dict[str, object] = {}
    try:
        prepared = await prepare(plan, request, tracked)
    except PolicyError as error:
        return {"error": str(error), "rules": []}
    narrator = _Narrator(prepared, tracked, quotas)
    rules = [await narrator.rule(name, variants) for name, variants in _by_name(prepared).items()]
    story["generated"] = plain(prepared.generated)
    story["rules"] = rules
    if narrator.errors:
        story["error"] = "; ".join(narrator.errors)
    else:
        story["verdict"] = narrator.verdict(longest)
    story["read"] = [
        {"attribute": reference, "present": present}
        if isinstance(reference, str)
        else {"attribute": reference[0], "key": reference[1], "present": present}
        for reference, present in tracked.reads.items()
    ]
    return story


def _by_name(prepared: Prepared) -> dict[str, list[tuple[str, PlannedRule]]]:
    """Each rule, in the order of trying, with what it is for."""
    found: dict[str, list[tuple[str, PlannedRule]]] = {}
    rules = prepared.rules
    for rule in rules.generate:
        found.setdefault(rule.name, []).append(("generate", rule))
    for rule in rules.check:
        found.setdefault(rule.name, []).append(("check", rule))
    for rule in {id(entry.rule): entry.rule for entries in rules.quota.values() for entry in entries}.values():
        found.setdefault(rule.name, []).append(("quota", rule))
    for rule in rules.report:
        found.setdefault(rule.name, []).append(("report", rule))
    return found


class _Narrator:
    def __init__(self, prepared: Prepared, request: Bag, quotas: Mapping[str, QuotaArgs]) -> None:
        self._bag = prepared.bag
        self._request = request
        self._quotas = {name.lower(): args for name, args in quotas.items()}
        self._results: list[tuple[str, CheckResult]] = []
        self._named: list[Named] = []
        self._editing: list[tuple[PlannedRule, Bag]] = []
        self.errors: list[str] = []

    async def rule(self, name: str, variants: list[tuple[str, PlannedRule]]) -> dict[str, object]:
        """One rule and, if it matches, its instances."""
        first = variants[0][1]
        told: dict[str, object] = {"rule": name, "match": first.text}
        try:
            matched = first.match is None or bool(first.match(self._bag))
        except EvaluationError as error:
            return {**told, "matched": False, "reason": str(error)}
        told["matched"] = matched
        if matched:
            first_named = len(self._named)
            told["instances"] = [await self._step(variety, step) for variety, rule in variants for step in rule.steps]
            named = self._named[first_named:]
            bag = OutputBag(named, self._bag) if named else self._bag
            self._editing += [(rule, bag) for _, rule in variants if rule.has_headers]
        return told

    async def _step(self, variety: str, step: Step) -> dict[str, object]:
        told: dict[str, object] = {
            "variety": variety,
            "instance": step.instance.name,
            "template": step.instance.template.name,
            "handler": step.destination.name,
        }
        try:
            # Generators were asked before there were generated attributes.
            instance = step.build(self._request if variety == "generate" else self._bag)
        except EvaluationError as error:
            if variety != "report":
                self.errors.append(str(error))
            return {**told, "error": str(error)}
        told["fields"] = {key: value for key, value in _fields(instance).items() if key != "name"}
        answer = await self._ask(variety, step, instance)
        return told if answer is None else {**told, **answer}

    async def _ask(self, variety: str, step: Step, instance: Any) -> dict[str, object] | None:
        handler = step.destination.handler
        calls = Calls()
        if variety == "check":
            calls.add(step.destination, handler.check(instance), CheckResult)
        elif variety == "quota":
            asked = self._quotas.get(step.instance.name.split(".", 1)[0].lower())
            if asked is None:
                return None
            calls.add(step.destination, handler.quota(instance, asked), QuotaResult)
        else:
            return None
        await calls.finish()
        (outcome,) = calls.outcomes
        if isinstance(outcome, CallFailed):
            if variety == "check":
                self.errors.append(str(outcome))
            return {"error": str(outcome)}
        if isinstance(outcome, CheckResult):
            self._results.append((step.destination.title, outcome))
            if step.action:
                self._named.append((step.action, outcome))
        return {"answer": plain(outcome)}

    def verdict(self, longest: timedelta) -> dict[str, object]:
        """All answers together."""
        combined = combine(self._results)
        told = _fields(combined)
        if combined.valid_duration > longest:
            told |= {"valid_duration": plain(longest), "uncapped_duration": told["valid_duration"]}
        if combined.status.code is Code.OK:
            request = [edit for rule, bag in self._editing for edit in operations(rule.request_headers, bag)]
            response = [edit for rule, bag in self._editing for edit in operations(rule.response_headers, bag)]
            told["request_headers"] = plain(request)
            told["response_headers"] = plain(response)
        return told


def _fields(value: object) -> dict[str, object]:
    fields = plain(value)
    assert isinstance(fields, dict)  # noqa: S101 - of a dataclass
    return fields
