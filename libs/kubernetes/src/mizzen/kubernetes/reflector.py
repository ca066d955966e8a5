"""One collection as it is known here, and where to go on following it. No I/O: lists and events in, changes out."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from mizzen.api.problem import Problem
from mizzen.api.resource import Resource, ResourceKey
from mizzen.kubernetes.objects import Reading

Keys = frozenset[ResourceKey]
NOTHING: Keys = frozenset()


class Revision(NamedTuple):
    """Which object, and which of its specs."""

    uid: str
    generation: int


class Reflector:
    """Follows one collection. What is known stays until something newer is, whatever happens to connections.

    Every method that takes news returns the keys whose resource is another one now.
    """

    def __init__(self) -> None:
        self.resources: dict[ResourceKey, Resource] = {}
        self.problems: dict[ResourceKey, tuple[Problem, ...]] = {}
        self.refused: dict[ResourceKey, Resource] = {}
        """What can be told of the broken ones."""
        self.version: str | None = None
        """Where a watch begins; None when only a list can tell what there is."""
        self.loaded = False
        """Whether any list has arrived."""
        self.revisions: dict[ResourceKey, Revision] = {}
        """Of all objects there are, the broken ones too."""

    def listed(self, readings: Iterable[Reading], version: str) -> Keys:
        """The whole collection at a version: what is not in it is gone."""
        found = {reading.key: reading for reading in readings}
        changed = {key for key in self.revisions.keys() - found.keys() if self._drop(key)}
        changed.update(key for key, reading in found.items() if self._take(reading))
        self.version = version
        self.loaded = True
        return frozenset(changed)

    def put(self, reading: Reading) -> Keys:
        """An object was added or modified."""
        if self._is_old(reading.version):
            return NOTHING
        self.version = reading.version
        return frozenset({reading.key}) if self._take(reading) else NOTHING

    def remove(self, key: ResourceKey, version: str) -> Keys:
        """An object is gone; `version` is that of its end."""
        if self._is_old(version):
            return NOTHING
        self.version = version
        return frozenset({key}) if self._drop(key) else NOTHING

    def bookmark(self, version: str) -> None:
        """Nothing happened up to this version."""
        if not self._is_old(version):
            self.version = version

    def expired(self) -> None:
        """The server knows no more what happened since `version`: a list is due."""
        self.version = None

    def _is_old(self, version: str) -> bool:
        """Whether this was told before: a server may repeat itself. Versions that are no numbers cannot be compared."""
        known = self.version or ""
        return known.isdecimal() and version.isdecimal() and int(version) <= int(known)

    def _take(self, reading: Reading) -> bool:
        """True when the resource is another one now; a broken object keeps its last good resource."""
        self.revisions[reading.key] = Revision(reading.uid, reading.generation)
        if reading.problems:
            self.problems[reading.key] = reading.problems
        else:
            self.problems.pop(reading.key, None)
        if reading.refused is not None:
            self.refused[reading.key] = reading.refused
        else:
            self.refused.pop(reading.key, None)
        if reading.resource is None or self.resources.get(reading.key) == reading.resource:
            return False
        self.resources[reading.key] = reading.resource
        return True

    def _drop(self, key: ResourceKey) -> bool:
        self.revisions.pop(key, None)
        self.problems.pop(key, None)
        self.refused.pop(key, None)
        return self.resources.pop(key, None) is not None
