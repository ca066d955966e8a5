"""Telemetry: the instances of a batch of requests, each handler called once."""

from __future__ import annotations

from collections.abc import Sequence

from mizzen.attributes.bag import Bag
from mizzen.mixer.expressions.errors import EvaluationError
from mizzen.mixer.runtime.calls import CallFailed, Calls
from mizzen.mixer.runtime.destination import Destination
from mizzen.mixer.runtime.judge import prepare
from mizzen.mixer.runtime.loads import Loads
from mizzen.mixer.runtime.plan import Plan
from mizzen.mixer.templates import Instance
from mizzen.mixer.verdict import PolicyError

MAX_ERRORS = 10
"""That a message names; the others are counted."""

Batch = dict[Destination, list[Instance]]


async def report(plan: Plan, requests: Sequence[Bag], loads: Loads) -> None:
    """Build instances for every request in order, then send them.

    What fails stops nothing else; PolicyError tells of it in the end.
    """
    batch: Batch = {}
    errors: list[str] = []
    for request in requests:
        try:
            prepared = await prepare(plan, request, request)
        except PolicyError as error:
            errors.append(str(error))
            continue
        matched = instances = 0
        for rule in prepared.rules.report:
            if not rule.matches(prepared.bag) or (rule.sampler and not rule.sampler.takes(prepared.bag)):
                continue
            matched += 1
            for step in rule.steps:
                try:
                    instance = step.build(prepared.bag)
                except EvaluationError as error:
                    errors.append(str(error))
                    continue
                batch.setdefault(step.destination, []).append(instance)
                instances += 1
        loads.add(matched, instances)
    errors += await _send(batch)
    if errors:
        shown = "; ".join(errors[:MAX_ERRORS])
        more = f" and {len(errors) - MAX_ERRORS} more errors" if len(errors) > MAX_ERRORS else ""
        raise PolicyError(f"{shown}{more}")


async def _send(batch: Batch) -> list[str]:
    """What went wrong."""
    calls = Calls()
    for destination, instances in batch.items():
        calls.add(destination, destination.handler.report(instances), type(None))
    if calls.waiting:
        await calls.finish()
    return [str(outcome) for outcome in calls.outcomes if isinstance(outcome, CallFailed)]
