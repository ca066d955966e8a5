"""Files that people wrote: one resource is taken out or put in, and the text of the others stays as it is."""

from __future__ import annotations

import re
from collections.abc import Collection

from mizzen.api.dump import to_yaml
from mizzen.api.resource import Resource

SEPARATOR = re.compile(r"---(?:\s|$)")
WRITTEN = re.compile(r"(?!%|\ufeff?---\s*$)\ufeff?\s*\S")
"""A line that says something, if only to people."""


def without(text: str, resource: Resource, others: Collection[Resource]) -> str:
    """The text without the document of a resource; `others` are the rest of the file's resources.

    Those that share its document, as items of a List do, are written anew in its place.
    """
    lines = text.splitlines(keepends=True)
    start, end = _extent(lines, resource)
    together = [other for other in others if start <= _line(other) < end]
    instead = f"---\n{to_yaml(together, reveal=True)}" if together else ""
    rest = [*lines[:start], instead, *lines[end:]]
    return "".join(rest) if any(map(WRITTEN.match, rest)) else ""


def appended(text: str, resource: Resource) -> str:
    """The text with one more document."""
    gap = "" if text.endswith(("\n", "\r")) or not text else "\n"
    document = to_yaml([resource], reveal=True)
    return f"{text}{gap}---\n{document}" if text else document


def _extent(lines: list[str], resource: Resource) -> tuple[int, int]:
    """The first line of a resource's document and the first one after it, counted from 0."""
    position = _line(resource)
    start = next((n for n in range(position, -1, -1) if SEPARATOR.match(lines[n])), 0)
    end = next((n for n in range(position + 1, len(lines)) if SEPARATOR.match(lines[n])), len(lines))
    return start, end


def _line(resource: Resource) -> int:
    if resource.source is None:
        raise ValueError(f"{resource.id} does not come from a file")
    return resource.source.line - 1
