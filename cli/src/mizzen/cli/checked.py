"""Input that must be good as a whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import typer

from mizzen.api.parse import Parsed
from mizzen.api.resource import Resource, ResourceKey
from mizzen.cli.inputs import read_inputs
from mizzen.cli.output import warn
from mizzen.cli.policy import with_policy


def checked_inputs(files: Sequence[str], namespace: str = "default") -> tuple[Resource, ...]:
    """The resources of the files; every problem is printed, and any error ends the command with status 1."""
    return checked(files, namespace).resources


def checked(
    files: Sequence[str],
    namespace: str = "default",
    held: Mapping[ResourceKey, Resource] | None = None,
    *,
    warns: bool = True,
) -> Parsed:
    """What the files say, and the problems, which are printed; any error ends the command with status 1.

    With `held`, what the mesh has already, Mixer's expressions and references are checked as well.
    """
    parsed = read_inputs(files, namespace)
    if held is not None:
        parsed = with_policy(parsed, held)
    for problem in parsed.problems:
        if warns or problem.severity == "error":
            warn(str(problem))
    if parsed.errors:
        count = len(parsed.errors)
        warn(f"{count} error{'s' if count > 1 else ''}: nothing was changed.")
        raise typer.Exit(1)
    return parsed
