"""What Pilot says of a resource in its status. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from mizzen.api.problem import Problem
from mizzen.api.resource import Resource, ResourceKey
from mizzen.kubernetes.reflector import Revision

VALIDATED = "PassedValidation"
RECONCILED = "Reconciled"
MAX_MESSAGE = 2_000
"""Of a condition; a resource may have hundreds of faults."""


@dataclass(frozen=True, slots=True)
class Condition:
    """One aspect of a resource; reasons are Istio's where it has one."""

    type: str
    status: bool
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Statement:
    """What there is to say of one revision of a resource."""

    revision: Revision
    conditions: tuple[Condition, ...]


def statements(
    revisions: Mapping[ResourceKey, Revision],
    problems: Iterable[Problem],
    used: Mapping[ResourceKey, Resource],
) -> dict[ResourceKey, Statement]:
    """Of each resource that the API server has, by what is wrong with it and by what the mesh in use is made of."""
    by_id: dict[str, list[Problem]] = {}
    for problem in problems:
        by_id.setdefault(problem.resource, []).append(problem)
    return {
        key: Statement(revision, (_validated(by_id.get(str(key), ())), _reconciled(revision, used.get(key))))
        for key, revision in revisions.items()
    }


def _validated(problems: Iterable[Problem]) -> Condition:
    found = list(dict.fromkeys(problems))
    is_good = all(problem.severity != "error" for problem in found)
    text = "; ".join(f"{problem.severity}: {problem.path}: {problem.message}" for problem in found) or "No errors found"
    if len(text) > MAX_MESSAGE:
        text = text[: MAX_MESSAGE - 3] + "..."
    return Condition(VALIDATED, is_good, "noErrorsFound" if is_good else "errorsFound", text)


def _reconciled(revision: Revision, used: Resource | None) -> Condition:
    if used is None or used.metadata.uid != revision.uid:
        return Condition(RECONCILED, False, "notInUse", "No version of this resource is in use")
    if used.metadata.generation != revision.generation:
        message = f"Generation {used.metadata.generation} is in use"
        return Condition(RECONCILED, False, "stillPropagating", message)
    return Condition(RECONCILED, True, "ready", "This generation is in use")


def status_of(statement: Statement, before: Mapping[str, Any], now: str) -> dict[str, Any]:
    """The status to write over `before`; a condition that is as it was keeps the time of its last transition."""
    times = {}
    for item in before.get("conditions") or ():
        if isinstance(item, dict):
            times[item.get("type"), item.get("status")] = item.get("lastTransitionTime")
    conditions = []
    for condition in statement.conditions:
        status = "True" if condition.status else "False"
        conditions.append(
            {
                "type": condition.type,
                "status": status,
                "reason": condition.reason,
                "message": condition.message,
                "lastTransitionTime": times.get((condition.type, status)) or now,
            }
        )
    return {"observedGeneration": statement.revision.generation, "conditions": conditions}
