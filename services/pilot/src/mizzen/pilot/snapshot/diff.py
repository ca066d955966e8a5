"""What differs between two meshes."""

from __future__ import annotations

from dataclasses import dataclass

from mizzen.api.resource import ResourceKey
from mizzen.pilot.snapshot.mesh import Mesh
from mizzen.pilot.snapshot.service import ServiceKey


@dataclass(frozen=True, slots=True)
class Change:
    """The difference that a push has to carry."""

    config: frozenset[ResourceKey] = frozenset()
    """Resources that were added, changed or removed (Service included)."""
    services: frozenset[ServiceKey] = frozenset()
    endpoints: frozenset[ServiceKey] = frozenset()
    """Services of which only endpoints differ."""

    def __bool__(self) -> bool:
        return bool(self.config or self.services or self.endpoints)


def difference(old: Mesh, new: Mesh) -> Change:
    """What a proxy that has `old` needs to know about `new`."""
    raise NotImplementedError
