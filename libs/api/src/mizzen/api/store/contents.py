"""What a store holds at one instant."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Protocol

from mizzen.api.problem import Problem
from mizzen.api.resource import Resource, ResourceKey


@dataclass(frozen=True, slots=True)
class Contents:
    """Resources by key, and what is wrong with those that are missing or out of date."""

    resources: Mapping[ResourceKey, Resource] = field(default_factory=lambda: MappingProxyType({}))
    problems: tuple[Problem, ...] = ()


OnChange = Callable[[frozenset[ResourceKey]], None]
"""Called with the keys that were added, changed or removed, after the store's contents did."""


class Store(Protocol):
    """A source of resources."""

    @property
    def contents(self) -> Contents:
        """As of now."""
        ...

    async def load(self) -> None:
        """Read everything once."""
        ...

    async def watch(self, on_change: OnChange) -> None:
        """Keep the contents up to date until cancelled."""
        ...


def merge(parts: Iterable[Contents]) -> Contents:
    """All of them; of two resources with one key the first wins and the second is a problem."""
    resources: dict[ResourceKey, Resource] = {}
    problems: list[Problem] = []
    for part in parts:
        problems += part.problems
        for key, resource in part.resources.items():
            first = resources.setdefault(key, resource)
            if first is not resource:
                problems.append(duplicate(resource, first))
    return Contents(MappingProxyType(resources), tuple(problems))


def duplicate(resource: Resource, first: Resource) -> Problem:
    """The problem of a resource that another one with its key takes precedence over."""
    where = f" in {first.source}" if first.source else ""
    return Problem(resource.source, resource.id, "metadata.name", f"is defined already{where}; this one is not used")


def changed_keys(old: Contents, new: Contents) -> frozenset[ResourceKey]:
    """Keys whose resource was added, removed or differs."""
    keys = old.resources.keys() | new.resources.keys()
    return frozenset(key for key in keys if old.resources.get(key) != new.resources.get(key))
