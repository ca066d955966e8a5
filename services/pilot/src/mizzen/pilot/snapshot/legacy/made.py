"""A resource that stands for a legacy one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from mizzen.api.resource import Metadata, Resource
from mizzen.api.selector import WorkloadSelector
from mizzen.api.types import Model
from mizzen.pilot.base.labels import Labels

SpecT = TypeVar("SpecT", bound=Model)


def stand_in(
    origin: Resource, spec: SpecT, namespace: str, name: str, annotations: Mapping[str, str] | None = None
) -> Resource[SpecT]:
    """Its group stays the legacy one, by which generators know that it is not for gateways."""
    metadata = Metadata(
        name=name,
        namespace=namespace,
        annotations=dict(annotations or {}),
        creation_timestamp=origin.metadata.creation_timestamp,
    )
    return Resource(origin.api_version, type(spec).__name__, metadata, spec, source=origin.source)


def selector(of: Labels) -> WorkloadSelector:
    """Workloads with these labels."""
    return WorkloadSelector(match_labels=dict(sorted(of)))
