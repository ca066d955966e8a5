"""A plan: which rules are tried for a request, and what they do. Immutable but for its count of requests."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from mizzen.attributes.bag import Bag
from mizzen.mixer.config.instances import Build, InstanceConfig
from mizzen.mixer.config.rules import HeaderConfig, RuleConfig
from mizzen.mixer.config.templates import Variety
from mizzen.mixer.expressions.attributes import Evaluate
from mizzen.mixer.expressions.errors import EvaluationError
from mizzen.mixer.expressions.reads import Read
from mizzen.mixer.runtime.destination import Destination
from mizzen.mixer.runtime.sampling import Sampler


@dataclass(slots=True)
class Trouble:
    """How often a rule's match could not be evaluated, and the last reason."""

    count: int = 0
    last: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """One instance for one destination."""

    destination: Destination
    build: Build
    instance: InstanceConfig
    action: str = ""
    """By which header operations read its output; "" for none."""


@dataclass(frozen=True, slots=True)
class PlannedRule:
    """A rule as far as it is for one variety of templates."""

    name: str
    match: Evaluate | None
    steps: tuple[Step, ...]
    trouble: Trouble
    text: str = "true"
    request_headers: tuple[HeaderConfig, ...] = ()
    response_headers: tuple[HeaderConfig, ...] = ()
    has_headers: bool = False
    sampler: Sampler | None = None
    reads: frozenset[Read] = frozenset()
    """Everything that `match` may read."""

    def matches(self, bag: Bag) -> bool:
        """Whether the rule is for a request; one that cannot be evaluated is not."""
        if self.match is None:
            return True
        try:
            return self.match(bag)  # type: ignore[no-any-return]
        except EvaluationError as error:
            self.trouble.count += 1
            self.trouble.last = str(error)
            return False


@dataclass(frozen=True, slots=True)
class QuotaStep:
    """An instance of a quota, and the rule it is under."""

    rule: PlannedRule
    step: Step


@dataclass(frozen=True, slots=True)
class Rules:
    """What applies to the requests of one namespace, by variety."""

    check: tuple[PlannedRule, ...] = ()
    report: tuple[PlannedRule, ...] = ()
    generate: tuple[PlannedRule, ...] = ()
    quota: Mapping[str, tuple[QuotaStep, ...]] = field(default_factory=dict)
    """By the instance's short name in lower case."""


NO_RULES = Rules()


class Plan:
    """The rules in force."""

    def __init__(
        self,
        default: Rules = NO_RULES,
        namespaces: Mapping[str, Rules] | None = None,
        troubles: Mapping[str, Trouble] | None = None,
    ) -> None:
        self.default = default
        self.namespaces = dict(namespaces or {})
        self.troubles = dict(troubles or {})
        """By name of the rule."""
        self._requests = 0
        self._retired = False
        self._idle = asyncio.Event()

    def rules_for(self, bag: Bag) -> Rules:
        """By the identity namespace: the destination's, or the source's where the client's side reports.

        Istio reads destination.service as well and does nothing with it; that would only spoil caching.
        """
        outbound = bag.get("context.reporter.kind") == "outbound"
        namespace = bag.get("source.namespace" if outbound else "destination.namespace")
        return self.namespaces.get(namespace, self.default) if isinstance(namespace, str) else self.default

    def __enter__(self) -> None:
        self._requests += 1

    def __exit__(self, *error: object) -> None:
        self._requests -= 1
        if self._retired and not self._requests:
            self._idle.set()

    async def drained(self) -> None:
        """Wait, once another plan is in force, for the last request over this one."""
        self._retired = True
        if self._requests:
            await self._idle.wait()


def plan_of(
    rules: Sequence[RuleConfig], destinations: Mapping[tuple[str, str], Destination], default_namespace: str
) -> Plan:
    """`destinations` are by name of handler and template; actions for a handler that is not there are left out."""
    by_namespace: dict[str, list[RuleConfig]] = {}
    for rule in rules:
        by_namespace.setdefault(rule.namespace, []).append(rule)
    common = by_namespace.pop(default_namespace, [])
    troubles = {rule.name: Trouble() for rule in rules}
    planner = _Planner(destinations, troubles)
    # A rule of the default namespace is planned once, so that all namespaces count its troubles together.
    namespaces = {namespace: planner.rules([*common, *own]) for namespace, own in by_namespace.items()}
    return Plan(planner.rules(common), namespaces, troubles)


@dataclass(frozen=True, slots=True)
class _Planner:
    destinations: Mapping[tuple[str, str], Destination]
    troubles: Mapping[str, Trouble]
    planned: dict[tuple[str, Variety], PlannedRule] = field(default_factory=dict)

    def rules(self, rules: Sequence[RuleConfig]) -> Rules:
        by_variety = {variety: tuple(self._of(rules, variety)) for variety in Variety}
        quota: dict[str, list[QuotaStep]] = {}
        for rule in by_variety[Variety.QUOTA]:
            for step in rule.steps:
                short = step.instance.name.split(".", 1)[0].lower()
                quota.setdefault(short, []).append(QuotaStep(rule, step))
        return Rules(
            by_variety[Variety.CHECK],
            by_variety[Variety.REPORT],
            by_variety[Variety.GENERATE],
            {name: tuple(steps) for name, steps in quota.items()},
        )

    def _of(self, rules: Sequence[RuleConfig], variety: Variety) -> list[PlannedRule]:
        planned = [self._plan(rule, variety) for rule in rules]
        return [rule for rule in planned if rule.steps or rule.has_headers]

    def _plan(self, rule: RuleConfig, variety: Variety) -> PlannedRule:
        key = (rule.name, variety)
        if key not in self.planned:
            self.planned[key] = self._planned(rule, variety)
        return self.planned[key]

    def _planned(self, rule: RuleConfig, variety: Variety) -> PlannedRule:
        steps = tuple(
            Step(destination, instance.build, instance, action.name)
            for action in rule.actions
            for instance in action.instances
            if instance.template.variety is variety
            and (destination := self.destinations.get((action.handler.name, instance.template.name)))
        )
        is_check, is_report = variety is Variety.CHECK, variety is Variety.REPORT
        return PlannedRule(
            name=rule.name,
            match=rule.match.evaluate if rule.match else None,
            steps=steps,
            trouble=self.troubles[rule.name],
            text=rule.match.text if rule.match else "true",
            request_headers=rule.request_headers if is_check else (),
            response_headers=rule.response_headers if is_check else (),
            has_headers=is_check and bool(rule.request_headers or rule.response_headers),
            sampler=Sampler(rule.sampling) if is_report and rule.sampling else None,
            reads=rule.match.reads if rule.match else frozenset(),
        )
