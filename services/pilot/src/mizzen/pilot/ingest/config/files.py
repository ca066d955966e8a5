"""The mesh's configuration among the resources of watched folders."""

from __future__ import annotations

from mizzen.api.kinds import KINDS
from mizzen.api.resource import Resource
from mizzen.api.store.contents import Contents

GROUPS = frozenset(kind.group for kind in KINDS.values() if not kind.is_kubernetes)
"""Istio's groups, those of Istio 1.0 among them, and the Gateway API."""


def config_of(contents: Contents) -> tuple[Resource, ...]:
    """The resources that configure the mesh."""
    return tuple(resource for resource in contents.resources.values() if resource.group in GROUPS)
