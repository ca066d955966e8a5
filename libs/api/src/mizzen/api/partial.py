"""Build what can be built of a value with errors, so that rules can look at the rest of it."""

import copy
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from mizzen.api.problem import Path
from mizzen.api.types import UNCHECKED_TEXT, camel_case
from mizzen.api.wording import location

MAX_ROUNDS = 8

M = TypeVar("M", bound=BaseModel)


@dataclass(slots=True)
class Gaps:
    """The places of a value that have a problem already, or that were left out because of one."""

    paths: list[Path] = field(default_factory=list)
    misspelt: set[Path] = field(default_factory=set)
    """Where unknown fields stand: any field there may only seem to be missing."""

    def hide(self, path: Path) -> bool:
        """Whether a rule's finding at `path` may only be an echo of an earlier problem."""
        return path[:-1] in self.misspelt or any(path[: len(gap)] == gap[: len(path)] for gap in self.paths)

    def add(self, details: ErrorDetails) -> None:
        """Note the place of one of pydantic's errors."""
        path = location(details)
        self.paths.append(path)
        if details["type"] == "extra_forbidden":
            self.misspelt.add(path[:-1])


def build_partial(model: type[M], data: Any, errors: list[ErrorDetails]) -> tuple[M | None, Gaps]:
    """Validate `data` once more without what `errors` complain of; None when nothing useful is left.

    Text whose syntax is wrong stays; other bad values are taken out. A list item is never taken out alone, since that
    would move the others: its list goes.
    """
    data = copy.deepcopy(data)
    gaps = Gaps()
    for details in errors:
        gaps.add(details)
    for _ in range(MAX_ROUNDS):
        try:
            return model.model_validate(data, context=UNCHECKED_TEXT), gaps
        except ValidationError as error:
            remaining = error.errors(include_url=False)
        for details in remaining:
            path = location(details)
            path = _removable(path[:-1] if details["type"] == "missing" else path)
            if not path:
                return None, gaps
            gaps.paths.append(path)
            _remove(data, path)
    return None, gaps


def _removable(path: Path) -> Path:
    while path and isinstance(path[-1], int):
        path = path[:-1]
    return path


def as_written(data: Any, path: Path) -> Path:
    """The path with the keys that the user wrote, who may have used snake_case for a field's camelCase."""
    written: list[str | int] = []
    for part in path:
        is_absent = isinstance(data, dict) and part not in data
        key = next((key for key in data if camel_case(key) == part), part) if is_absent else part
        written.append(key)
        try:
            data = data[key]
        except (KeyError, IndexError, TypeError):
            data = None
    return tuple(written)


def _remove(data: Any, path: Path) -> None:
    *parents, last = as_written(data, path)
    for part in parents:
        try:
            data = data[part]
        except (KeyError, IndexError, TypeError):
            return  # an earlier removal took it along
    if isinstance(data, dict):
        data.pop(last, None)
