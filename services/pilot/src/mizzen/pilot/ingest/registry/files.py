"""Services and endpoints among the resources of watched folders."""

from __future__ import annotations

from mizzen.api.store.contents import Contents
from mizzen.pilot.base.registry import RegistrySnapshot

KINDS = frozenset({"Service", "EndpointSlice", "Endpoints", "Pod", "Node", "Namespace", "Secret"})


def registry_of(contents: Contents) -> RegistrySnapshot:
    """The platform as the files tell it; workloads of ServiceEntries are config and not part of it."""
    return RegistrySnapshot(tuple(r for r in contents.resources.values() if r.kind in KINDS))
