"""Which change can alter which xDS type of which proxy."""

from __future__ import annotations

from mizzen.pilot.snapshot.diff import Change
from mizzen.pilot.snapshot.mesh import Mesh
from mizzen.pilot.snapshot.proxy import Proxy


def affected_types(change: Change, proxy: Proxy, old: Mesh, new: Mesh) -> tuple[str, ...]:
    """The type URLs to push to a proxy, in push order; empty when the change is none of its business."""
    raise NotImplementedError


def affected_endpoint_names(change: Change, proxy: Proxy, names: frozenset[str]) -> frozenset[str]:
    """Of the EDS names that a proxy watches, those whose endpoints an endpoints-only change can alter."""
    raise NotImplementedError
