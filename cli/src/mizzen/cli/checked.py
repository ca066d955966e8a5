"""Input that must be good as a whole."""

from __future__ import annotations

from collections.abc import Sequence

import typer

from mizzen.api.resource import Resource
from mizzen.cli.inputs import read_inputs
from mizzen.cli.output import warn


def checked_inputs(files: Sequence[str], namespace: str = "default") -> tuple[Resource, ...]:
    """The resources of the files; every problem is printed, and any error ends the command with status 1."""
    parsed = read_inputs(files, namespace)
    for problem in parsed.problems:
        warn(str(problem))
    if parsed.errors:
        count = len(parsed.errors)
        warn(f"{count} error{'s' if count > 1 else ''}: nothing was changed.")
        raise typer.Exit(1)
    return parsed.resources
