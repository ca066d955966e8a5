"""Attributes that handlers generate from a request's, before anything is judged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mizzen.attributes.bag import Bag
from mizzen.attributes.values import Value
from mizzen.mixer.config.instances import OUTPUT
from mizzen.mixer.expressions.errors import EvaluationError
from mizzen.mixer.runtime.calls import CallFailed, Calls
from mizzen.mixer.runtime.plan import PlannedRule, Step
from mizzen.mixer.verdict import PolicyError


class _Answer:
    """A request's attributes, and under `$out.` the fields of a handler's answer."""

    __slots__ = ("_fields", "_request")

    def __init__(self, fields: Mapping[str, Value], request: Bag) -> None:
        self._fields = fields
        self._request = request

    def get(self, name: str, /) -> Value | None:
        return self._fields.get(name[len(OUTPUT) :]) if name.startswith(OUTPUT) else self._request.get(name)

    def lookup(self, name: str, key: str, /) -> str | None:
        if not name.startswith(OUTPUT):
            return self._request.lookup(name, key)
        entries = self.get(name)
        return entries.get(key) if isinstance(entries, Mapping) else None

    def has_map(self, name: str, /) -> bool:
        return isinstance(self.get(name), Mapping) if name.startswith(OUTPUT) else self._request.has_map(name)


async def generate(rules: Sequence[PlannedRule], request: Bag, tracked: Bag) -> dict[str, Value]:
    """All bound attributes that the request does not carry; where two generators bind one, the first one's.

    What is read on the way is read from `tracked`; that an attribute is carried already is seen in `request`, since
    no decision hangs on it. Raises PolicyError.
    """
    calls = Calls()
    steps: list[Step] = []
    errors: list[str] = []
    for rule in rules:
        if not rule.matches(tracked):
            continue
        for step in rule.steps:
            try:
                instance = step.build(tracked)
            except EvaluationError as error:
                errors.append(str(error))
                continue
            steps.append(step)
            calls.add(step.destination, step.destination.handler.generate(instance), Mapping)
    if calls.waiting:
        await calls.finish()
    generated: dict[str, Value] = {}
    for step, outcome in zip(steps, calls.outcomes, strict=True):
        try:
            _bind(step, outcome, request, tracked, generated)
        except (CallFailed, EvaluationError) as error:
            errors.append(str(error))
    if errors:
        raise PolicyError(f"preprocessing attributes failed: {'; '.join(errors)}")
    return generated


def _bind(step: Step, outcome: Any, request: Bag, tracked: Bag, generated: dict[str, Value]) -> None:
    if isinstance(outcome, CallFailed):
        raise outcome
    answer = _Answer(outcome, tracked)
    for name, expression in step.instance.bindings.items():
        if name in generated or request.get(name) is not None:
            continue
        try:
            generated[name] = expression.evaluate(answer)
        except EvaluationError as error:
            raise EvaluationError(f"instance {step.instance.name}: {name}: {error}") from None
