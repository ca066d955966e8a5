"""Security that somebody has written and that is not in force: the one kind of mistake that opens a door."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from mizzen.api.kinds import AUTHENTICATION, KINDS, RBAC
from mizzen.api.problem import Problem
from mizzen.api.store.contents import Contents

KINDS_THAT_PROTECT: Final = frozenset(
    kind.key for kind in KINDS.values() if kind.group in ("security.istio.io", AUTHENTICATION, RBAC)
)
_MESSAGE: Final = "is not in force, and no earlier version of it is known: what it is to refuse is let in"


def out_of_force(contents: Contents) -> Iterator[Problem]:
    """One error for each resource of these kinds that is kept out and has no last good version to stand for it."""
    broken = {problem.resource: problem for problem in contents.problems if _is_about_protection(problem)}
    in_force = {str(key) for key in contents.resources} if broken else set()
    for resource, problem in broken.items():
        if resource not in in_force:
            yield Problem(problem.source, resource, "", _MESSAGE)


def _is_about_protection(problem: Problem) -> bool:
    return problem.severity == "error" and problem.resource.partition(" ")[0] in KINDS_THAT_PROTECT
