"""Resources to plain values and YAML: what `mizzen.api.parse` reads back."""

from collections.abc import Iterable
from typing import Any

import yaml

from mizzen.api.kinds import KINDS
from mizzen.api.resource import Resource
from mizzen.api.types import Model


def to_dict(resource: Resource) -> dict[str, Any]:
    """The resource as in YAML: camelCase, only what was set, durations and enums as text."""
    kind = KINDS[resource.key.kind]
    spec = _fields(resource.spec)
    metadata = _fields(resource.metadata)
    if not kind.namespaced:
        metadata.pop("namespace", None)
    data: dict[str, Any] = {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": metadata}
    data |= spec if kind.flat else {"spec": spec}
    if resource.status is not None and (status := _fields(resource.status)):
        data["status"] = status
    return data


def to_yaml(resources: Iterable[Resource]) -> str:
    """One document per resource, divided by `---`."""
    return yaml.safe_dump_all(map(to_dict, resources), sort_keys=False, allow_unicode=True, width=120)


def _fields(model: Model) -> dict[str, Any]:
    return model.model_dump(mode="json", by_alias=True, exclude_unset=True)
