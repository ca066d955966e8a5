"""The mesh's configuration among the resources of watched folders."""

from __future__ import annotations

from mizzen.api.resource import Resource
from mizzen.api.store.contents import Contents

GROUPS = frozenset({"networking.istio.io", "security.istio.io", "gateway.networking.k8s.io", "config.istio.io"})


def config_of(contents: Contents) -> tuple[Resource, ...]:
    """The resources that configure the mesh."""
    return tuple(resource for resource in contents.resources.values() if resource.group in GROUPS)
