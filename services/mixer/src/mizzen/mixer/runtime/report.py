"""Telemetry: the instances of a batch of requests, each handler called once."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from mizzen.attributes.bag import Bag
from mizzen.mixer.expressions.errors import EvaluationError
from mizzen.mixer.runtime.calls import CallFailed, Calls
from mizzen.mixer.runtime.destination import Destination
from mizzen.mixer.runtime.judge import prepare
from mizzen.mixer.runtime.loads import Loads
from mizzen.mixer.runtime.plan import Plan
from mizzen.mixer.runtime.recipes import Recipe, Recipes, report_reads, settled
from mizzen.mixer.templates import Instance
from mizzen.mixer.verdict import PolicyError

MAX_ERRORS = 10
"""That a message names; the others are counted."""

Batch = dict[Destination, list[Instance]]


class Reporter:
    """Reports over one plan."""

    def __init__(self, plan: Plan) -> None:
        every = (plan.default, *plan.namespaces.values())
        self.plan = plan
        self.reads = report_reads(every)
        """Attributes that reports may depend on."""
        self._recipes = Recipes(every)

    async def report(self, requests: Sequence[Bag], loads: Loads) -> None:
        """Build instances for every request in order, then send them.

        What fails stops nothing else; PolicyError tells of it in the end.
        """
        batch: Batch = {}
        errors: list[str] = []
        known = self._recipes.begin(len(requests))
        for request in requests:
            try:
                recipe = await self._recipe(request) if known is None else await self._known(request, known)
            except PolicyError as error:
                errors.append(str(error))
                continue
            _build(recipe, request, batch, errors, loads)
        errors += await _send(batch)
        if errors:
            shown = "; ".join(errors[:MAX_ERRORS])
            more = f" and {len(errors) - MAX_ERRORS} more errors" if len(errors) > MAX_ERRORS else ""
            raise PolicyError(f"{shown}{more}")

    async def _recipe(self, request: Bag) -> Recipe:
        prepared = await prepare(self.plan, request, request)
        return Recipe(prepared.rules.report, prepared.generated)

    async def _known(self, request: Bag, known: dict[Hashable, Recipe]) -> Recipe:
        key = self._recipes.key(request)
        try:
            recipe = known.get(key)
        except TypeError:  # a value that is not of its attribute's type
            return await self._recipe(request)
        if recipe is None:
            whole = await self._recipe(request)
            recipe = known[key] = Recipe(settled(whole.rules, whole.bag(request)), whole.generated)
        return recipe


def _build(recipe: Recipe, request: Bag, batch: Batch, errors: list[str], loads: Loads) -> None:
    """One request's instances."""
    bag = recipe.bag(request)
    matched = instances = 0
    for rule in recipe.rules:
        if not rule.matches(bag) or (rule.sampler and not rule.sampler.takes(bag)):
            continue
        matched += 1
        for step in rule.steps:
            try:
                instance = step.build(bag)
            except EvaluationError as error:
                errors.append(str(error))
                continue
            batch.setdefault(step.destination, []).append(instance)
            instances += 1
    loads.add(matched, instances)


async def _send(batch: Batch) -> list[str]:
    """What went wrong."""
    calls = Calls()
    for destination, instances in batch.items():
        calls.add(destination, destination.handler.report(instances), type(None))
    if calls.waiting:
        await calls.finish()
    return [str(outcome) for outcome in calls.outcomes if isinstance(outcome, CallFailed)]
