"""Resources to Mesh."""

from __future__ import annotations

from collections.abc import Iterable

from mizzen.api.resource import Resource
from mizzen.pilot.base.meshconfig import MeshConfig
from mizzen.pilot.base.registry import RegistrySnapshot
from mizzen.pilot.snapshot.mesh import Mesh

ENDPOINT_KINDS = frozenset({"EndpointSlice", "Endpoints", "Pod", "WorkloadEntry"})
"""A change of nothing but these needs only `refresh_endpoints`."""


def build(
    config: Iterable[Resource],
    registry: RegistrySnapshot,
    previous: Mesh | None,
    version: str,
    settings: MeshConfig | None = None,
) -> Mesh:
    """The mesh of these resources; never raises for what a user wrote, see `Mesh.problems`."""
    raise NotImplementedError


def refresh_endpoints(config: Iterable[Resource], registry: RegistrySnapshot, previous: Mesh, version: str) -> Mesh:
    """`previous` with today's endpoints; right when only ENDPOINT_KINDS changed since."""
    raise NotImplementedError
