"""What becomes of a report, kept for the requests that resemble the one it was found out for.

Requests between the same two workloads differ in little that rules ask for: a size, a duration. What a rule's match and
an instance's fields make of the rest (of `Read.is_steady`) is found out once, and found again by the values of
everything they may read.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from mizzen.attributes.bag import Bag, DictBag, OverlayBag
from mizzen.attributes.values import Value, ValueType
from mizzen.mixer.config.instances import OUTPUT
from mizzen.mixer.expressions.errors import EvaluationError
from mizzen.mixer.expressions.reads import Read, are_steady
from mizzen.mixer.runtime.plan import PlannedRule, Rules

MOST = 2048
"""Recipes that are kept; each has some kilobytes."""
REST = 100_000
"""Requests for which none are kept after they turned out to be of no use."""
_EITHER_WAY = (
    Read("context.reporter.kind", None, ValueType.STRING),
    Read("source.namespace", None, ValueType.STRING),
    Read("destination.namespace", None, ValueType.STRING),
)
"""What `Plan.rules_for` reads."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """The rules for a request, as far as they are not decided, and the attributes that were generated for it."""

    rules: tuple[PlannedRule, ...]
    generated: Mapping[str, Value]

    def bag(self, request: Bag) -> Bag:
        """What the rules are to be applied to."""
        return OverlayBag(DictBag(self.generated), request) if self.generated else request


class Recipes:
    """Recipes of a plan with these rules."""

    def __init__(self, rules: Iterable[Rules]) -> None:
        every = tuple(rules)
        generators = [step for each in every for rule in each.generate for step in rule.steps]
        self.key = _key(every)
        """What a request's recipe is found by; it may turn out not to be hashable."""
        self._handlers = {id(step.destination.handler): step.destination.handler for step in generators}.values()
        self._revisions: list[int | None] = []
        self._known: dict[Hashable, Recipe] = {}
        self._asked = 0
        """Requests since the first of `_known`."""
        self._rest = 0 if self._is_sure(every) else None

    def begin(self, requests: int) -> dict[Hashable, Recipe] | None:
        """Recipes for so many requests, to be added to; None: none are kept.

        They are forgotten when a generator may answer differently from now on.
        """
        if self._rest is None:
            return None
        if self._rest > 0:
            self._rest -= requests
            return None
        revisions = [handler.revision for handler in self._handlers]
        if None in revisions:
            return None
        if revisions != self._revisions or len(self._known) >= MOST:
            if len(self._known) >= MOST and self._asked < 2 * len(self._known):
                self._rest = REST
            # A new dictionary: a batch that waits for a generator's answer still writes to the old one.
            self._known, self._asked, self._revisions = {}, 0, revisions
        self._asked += requests
        return self._known

    @staticmethod
    def _is_sure(every: Iterable[Rules]) -> bool:
        """Whether what is generated depends on nothing but what is steady."""
        return all(are_steady(_generator_reads(rule)) for rules in every for rule in rules.generate)


def settled(rules: Sequence[PlannedRule], bag: Bag) -> tuple[PlannedRule, ...]:
    """The rules for requests that are like this one in what is steady.

    What is in error stays as it is: each request is to tell of it, and to be counted.
    """
    found: list[PlannedRule] = []
    for rule in rules:
        match = rule.match
        if match is not None and are_steady(rule.reads):
            try:
                if not match(bag):
                    continue
                match = None
            except EvaluationError:
                pass
        steps = tuple(replace(step, build=step.instance.bind(bag)) for step in rule.steps)
        found.append(replace(rule, match=match, steps=steps))
    return tuple(found)


def report_reads(every: Iterable[Rules]) -> frozenset[str]:
    """Everything that reports under these rules may depend on, by name of the attribute."""
    names = {read.name for read in _EITHER_WAY}
    for rules in every:
        for rule in rules.generate:
            names |= {read.name for read in _generator_reads(rule)}
        for rule in rules.report:
            names |= {read.name for read in rule.reads.union(*[step.instance.reads for step in rule.steps])}
            names |= rule.sampler.reads if rule.sampler else frozenset()
    return frozenset(names)


def _generator_reads(rule: PlannedRule) -> set[Read]:
    """All that attributes are generated from."""
    found = set(rule.reads)
    for step in rule.steps:
        found |= step.instance.reads
        for expression in step.instance.bindings.values():
            found |= {read for read in expression.reads if not read.name.startswith(OUTPUT)}
    return found


def _report_reads(rule: PlannedRule) -> set[Read]:
    """What is steady of all that a rule's reports are made from."""
    found = set(rule.reads).union(*[step.instance.reads for step in rule.steps])
    return {read for read in found if read.is_steady}


def _key(every: Sequence[Rules]) -> Callable[[Bag], Hashable]:
    reads: set[Read] = set(_EITHER_WAY)
    bound: set[str] = set()
    for rules in every:
        reads = reads.union(*map(_report_reads, rules.report), *map(_generator_reads, rules.generate))
        bound.update(*[step.instance.bindings for rule in rules.generate for step in rule.steps])
    # An attribute that rules read nowhere may still not be generated where the request carries it.
    return _Key(reads, bound - {read.name for read in reads if read.key is None})


class _Key:
    """The values of reads, and which of the attributes in `bound` are there."""

    __slots__ = ("_bound", "_entries", "_names", "_numbers")

    def __init__(self, reads: Iterable[Read], bound: Iterable[str]) -> None:
        whole = sorted({read for read in reads if read.key is None})
        self._names = tuple(read.name for read in whole)
        # 1 equals True and is not the same.
        self._numbers = tuple(read.name for read in whole if read.type in (ValueType.INT64, ValueType.BOOL))
        self._entries = tuple(sorted((read.name, read.key) for read in reads if read.key is not None))
        self._bound = tuple(sorted(bound))

    def __call__(self, bag: Bag) -> Hashable:
        get = bag.get
        return (
            *map(get, self._names),
            *[get(name).__class__ for name in self._numbers],
            *[None if get(name) is None else _entry(bag, name, key) for name, key in self._entries],
            *[get(name) is None for name in self._bound],
        )


def _entry(bag: Bag, name: str, key: str) -> str | bool:
    """The entry of a map; whether there is a map where there is no entry."""
    found = bag.lookup(name, key)
    return bag.has_map(name) if found is None else found
