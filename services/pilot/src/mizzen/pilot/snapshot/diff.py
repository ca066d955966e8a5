"""What differs between two meshes."""

from __future__ import annotations

from dataclasses import dataclass

from mizzen.api.resource import ResourceKey
from mizzen.pilot.snapshot.build import ENDPOINT_KINDS
from mizzen.pilot.snapshot.mesh import Mesh
from mizzen.pilot.snapshot.service import ServiceKey


@dataclass(frozen=True, slots=True)
class Change:
    """The difference that a push has to carry."""

    config: frozenset[ResourceKey] = frozenset()
    """Istio resources that were added, changed or removed."""
    services: frozenset[ServiceKey] = frozenset()
    """Services that were added, changed or removed."""
    endpoints: frozenset[ServiceKey] = frozenset()
    """Services whose endpoints differ."""
    settings: bool = False

    def __bool__(self) -> bool:
        return bool(self.config or self.services or self.endpoints or self.settings)


def difference(old: Mesh, new: Mesh) -> Change:
    """What a proxy that has `old` needs to know about `new`."""
    return Change(
        config=frozenset(
            key
            for key in old.resources.keys() | new.resources.keys()
            if key.kind not in _PLATFORM and old.resources.get(key) != new.resources.get(key)
        ),
        services=frozenset(
            key for key in old.by_key.keys() | new.by_key.keys() if old.by_key.get(key) != new.by_key.get(key)
        ),
        endpoints=frozenset(
            key
            for key in old.endpoints.keys() | new.endpoints.keys()
            if old.endpoints.get(key, ()) != new.endpoints.get(key, ())
        ),
        settings=old.settings != new.settings,
    )


_PLATFORM = ENDPOINT_KINDS | {"Service", "ServiceEntry", "Namespace", "Deployment"}
"""Kinds whose effect shows in services and endpoints."""
