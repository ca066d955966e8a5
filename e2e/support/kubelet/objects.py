"""Objects of the API server, as they come."""

from __future__ import annotations

from typing import Any

Object = dict[str, Any]


class Unable(Exception):
    """What a Pod asks for cannot be had here; the text says what."""


def named(pod: Object) -> str:
    """`namespace/name`."""
    return f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"


def path_of(pod: Object) -> str:
    """Of a Pod in the API."""
    return f"/api/v1/namespaces/{pod['metadata']['namespace']}/pods/{pod['metadata']['name']}"


def is_sidecar(container: Object) -> bool:
    """Whether this init container is a native sidecar."""
    return container.get("restartPolicy") == "Always"
