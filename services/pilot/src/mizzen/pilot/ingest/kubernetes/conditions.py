"""What Pilot says of a resource of Istio's in its status. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from mizzen.api.problem import Problem
from mizzen.api.resource import Resource, ResourceKey
from mizzen.kubernetes.reflector import Revision
from mizzen.pilot.base.condition import Condition

VALIDATED = "PassedValidation"
RECONCILED = "Reconciled"
MAX_MESSAGE = 2_000
"""Of a condition; a resource may have hundreds of faults."""


@dataclass(frozen=True, slots=True)
class Statement:
    """What there is to say of one revision of a resource."""

    revision: Revision
    conditions: tuple[Condition, ...]
    is_shared: ClassVar[bool] = False

    @property
    def uid(self) -> str:
        return self.revision.uid

    def status(self, before: Mapping[str, Any], now: str) -> dict[str, Any]:
        """The status to write over `before`."""
        conditions = transitions(self.conditions, before.get("conditions"), now)
        return {"observedGeneration": self.revision.generation, "conditions": conditions}


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
    return Condition(VALIDATED, is_good, "noErrorsFound" if is_good else "errorsFound", text)


def _reconciled(revision: Revision, used: Resource | None) -> Condition:
    if used is None or used.metadata.uid != revision.uid:
        return Condition(RECONCILED, False, "notInUse", "No version of this resource is in use")
    if used.metadata.generation != revision.generation:
        message = f"Generation {used.metadata.generation} is in use"
        return Condition(RECONCILED, False, "stillPropagating", message)
    return Condition(RECONCILED, True, "ready", "This generation is in use")


def transitions(conditions: Iterable[Condition], before: Any, now: str) -> list[dict[str, Any]]:
    """Conditions as a status has them; one that is as it was in `before` keeps the time of its last transition."""
    times = {}
    for item in before or ():
        if isinstance(item, dict):
            times[item.get("type"), item.get("status")] = item.get("lastTransitionTime")
    found = []
    for condition in conditions:
        status = "True" if condition.status else "False"
        found.append(
            {
                "type": condition.type,
                "status": status,
                "reason": condition.reason,
                "message": bounded(condition.message),
                "lastTransitionTime": times.get((condition.type, status)) or now,
            }
        )
    return found


def bounded(message: str) -> str:
    """As much of it as goes into a condition."""
    return message if len(message) <= MAX_MESSAGE else message[: MAX_MESSAGE - 3] + "..."
