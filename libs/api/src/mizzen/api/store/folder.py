"""Texts of files to resources, keeping the last good version of what is broken. Pure: no file is touched here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from mizzen.api.parse import parse
from mizzen.api.problem import Problem, Source
from mizzen.api.resource import Resource, ResourceKey
from mizzen.api.store.contents import Contents, duplicate


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A file that exists and could not be read."""

    reason: str


FileState = str | Unreadable | None
"""The text of a file; None when it is gone."""


@dataclass(frozen=True, slots=True)
class File:
    """One file: what it says, and what it said before where it is broken now."""

    resources: tuple[Resource, ...] = ()
    held: tuple[Resource, ...] = ()
    """Last good versions of resources that are in the file no more, or not well."""
    problems: tuple[Problem, ...] = ()


class Folder:
    """The files of one folder, by path."""

    def __init__(self) -> None:
        self._files: dict[str, File] = {}

    def apply(self, changes: Mapping[str, FileState]) -> Contents:
        """Take new states of some files, give the contents of all."""
        for path, state in changes.items():
            if state is None:
                self._files.pop(path, None)
            else:
                self._files[path] = read_file(path, state, self._files.get(path, File()))
        return self._contents()

    def _contents(self) -> Contents:
        """In the order of paths; what a file says now goes before what another one said once."""
        files = [self._files[path] for path in sorted(self._files)]
        resources: dict[ResourceKey, Resource] = {}
        problems = [problem for file in files for problem in file.problems]
        for resource in (resource for file in files for resource in file.resources):
            first = resources.setdefault(resource.key, resource)
            if first is not resource:
                problems.append(duplicate(resource, first))
        for resource in (resource for file in files for resource in file.held):
            resources.setdefault(resource.key, resource)
        return Contents(MappingProxyType(resources), tuple(problems))


def read_file(path: str, state: str | Unreadable, before: File) -> File:
    """Parse a file; what was good before and is broken now is held."""
    known = {resource.key: resource for resource in (*before.held, *before.resources)}
    if isinstance(state, Unreadable):
        problem = Problem(Source(path, 1, 1), "", "", f"cannot be read: {state.reason}")
        return File(held=tuple(known.values()), problems=(problem,))
    parsed = parse(state, file=path)
    good = {resource.key for resource in parsed.resources}
    errors = [problem for problem in parsed.problems if problem.severity == "error"]
    # An error without the name of a resource ("", or its kind alone) may stand where any of the file's stood.
    nameless = any(" " not in problem.resource for problem in errors)
    broken = {problem.resource for problem in errors}
    held = tuple(r for key, r in known.items() if key not in good and (nameless or r.id in broken))
    return File(parsed.resources, held, parsed.problems)
