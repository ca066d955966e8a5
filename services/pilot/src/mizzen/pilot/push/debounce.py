"""Waiting until a burst of changes is over."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass

from mizzen.api.resource import ResourceKey


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds: how long nothing may have happened, and how long an event waits at most (mesh.md, push machinery)."""

    quiet: float = 0.1
    endpoint_quiet: float = 0.02
    """When only endpoints changed: they are cheap to push, and traffic waits for them."""
    maximum: float = 10.0


@dataclass(frozen=True, slots=True)
class Burst:
    """Changes that are built and pushed together."""

    keys: frozenset[ResourceKey]
    started: float
    """When the first of them happened; the clock of the caller."""


class Debounce:
    """Merges changed keys until they have been quiet for a while, or the first has waited for the maximum."""

    def __init__(self, endpoint_kinds: Set[str], limits: Limits) -> None:
        self._endpoint_kinds = endpoint_kinds
        self._limits = limits
        self._keys: set[ResourceKey] = set()
        self._first = 0.0
        self._last = 0.0

    def add(self, keys: Set[ResourceKey], now: float) -> None:
        """Something changed."""
        if not keys:
            return
        if not self._keys:
            self._first = now
        self._last = now
        self._keys |= keys

    def due(self) -> float | None:
        """When to call `take`; None while nothing has changed."""
        if not self._keys:
            return None
        only_endpoints = all(key.kind in self._endpoint_kinds for key in self._keys)
        quiet = self._limits.endpoint_quiet if only_endpoints else self._limits.quiet
        return min(self._last + quiet, self._first + self._limits.maximum)

    def take(self, now: float) -> Burst | None:
        """What changed, when it is due; after that nothing is waiting."""
        due = self.due()
        if due is None or now < due:
            return None
        burst = Burst(frozenset(self._keys), self._first)
        self._keys.clear()
        return burst
