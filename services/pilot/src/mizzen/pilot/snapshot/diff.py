"""What differs between two meshes."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from mizzen.api.resource import ResourceKey
from mizzen.pilot.base.keysource import KeySource
from mizzen.pilot.snapshot.build import ENDPOINT_KINDS
from mizzen.pilot.snapshot.mesh import Mesh
from mizzen.pilot.snapshot.service import ServiceKey

KeyT = TypeVar("KeyT", bound=Hashable)
_PLATFORM = ENDPOINT_KINDS | {"Service", "ServiceEntry", "Namespace", "Deployment"}
"""Kinds whose effect shows in services and endpoints."""


@dataclass(frozen=True, slots=True)
class Change:
    """The difference that a push has to carry."""

    config: frozenset[ResourceKey] = frozenset()
    """Istio resources that were added, changed or removed."""
    services: frozenset[ServiceKey] = frozenset()
    """Services that were added, changed or removed."""
    endpoints: frozenset[ServiceKey] = frozenset()
    """Services whose endpoints differ, or what these speak."""
    settings: bool = False
    keys: frozenset[KeySource] = frozenset()
    """Sources whose keys for tokens differ."""
    translated: bool = False
    """What the Gateway API's objects mean differs, maybe by the labels of a namespace."""

    def __bool__(self) -> bool:
        return bool(self.config or self.services or self.endpoints or self.settings or self.keys or self.translated)

    @property
    def endpoints_only(self) -> bool:
        """Nothing but endpoints differs: the fast path."""
        return not (self.config or self.services or self.settings or self.keys or self.translated)


def difference(old: Mesh, new: Mesh) -> Change:
    """What a proxy that has `old` needs to know about `new`."""
    return Change(
        config=frozenset(key for key in _differing(old.resources, new.resources) if key.kind not in _PLATFORM),
        services=_differing(old.by_key, new.by_key),
        endpoints=_differing(old.endpoints, new.endpoints) | new.services_at(_differing(old.staging, new.staging)),
        settings=old.settings != new.settings,
        keys=_differing(old.keys, new.keys),
        translated=_meaning(old) != _meaning(new),
    )


def _meaning(mesh: Mesh) -> tuple[Any, ...]:
    return (mesh.translation.gateways, mesh.translation.routings)


def _differing(old: Mapping[KeyT, Any], new: Mapping[KeyT, Any]) -> frozenset[KeyT]:
    """Keys with another value; an absent value is as good as an empty one."""
    if old is new:
        return frozenset()
    stays = {key for key, value in new.items() if old.get(key) is value}
    return frozenset(key for key in (old.keys() | new.keys()) - stays if (old.get(key) or ()) != (new.get(key) or ()))
