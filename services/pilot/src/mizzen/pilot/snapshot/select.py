"""Rules of choice shared by all kinds: age, visibility, resources of a kind."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar, cast

from mizzen.api.resource import Resource
from mizzen.api.types import Model

SpecT = TypeVar("SpecT", bound=Model)

EVERYWHERE = frozenset({"*"})


def created(resource: Resource) -> float:
    """Unix time of creation; 0 when it is unknown."""
    stamp = resource.metadata.creation_timestamp
    return stamp.timestamp() if stamp else 0.0


def age(resource: Resource) -> tuple[float, str, str]:
    """Sorts the oldest first; ties go by name, then namespace."""
    return (created(resource), resource.metadata.name, resource.metadata.namespace)


def of_kind(resources: Iterable[Resource], spec: type[SpecT]) -> list[Resource[SpecT]]:
    """The resources whose spec is of one type, oldest first."""
    found = [resource for resource in resources if isinstance(resource.spec, spec)]
    return cast("list[Resource[SpecT]]", sorted(found, key=age))


def exported(export_to: Iterable[str], namespace: str) -> frozenset[str]:
    """The namespaces that see an object of `namespace`: `.` is resolved, nothing means everywhere, `~` nowhere."""
    stated = frozenset(namespace if entry == "." else entry for entry in export_to)
    return stated or EVERYWHERE


def visible(export_to: frozenset[str], namespace: str) -> bool:
    """Whether something exported so is seen by a namespace."""
    return "*" in export_to or namespace in export_to
