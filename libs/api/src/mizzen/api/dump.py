"""Resources to plain values and YAML: what `mizzen.api.parse` reads back."""

from collections.abc import Iterable
from typing import Any

import yaml

from mizzen.api.kinds import KINDS
from mizzen.api.kubernetes import REVEAL
from mizzen.api.resource import Resource
from mizzen.api.types import Model


def to_dict(resource: Resource, *, reveal: bool = False) -> dict[str, Any]:
    """The resource as in YAML: camelCase, only what was set, durations and enums as text.

    Values of Secrets are stars unless they are to be revealed.
    """
    kind = KINDS[resource.key.kind]
    spec = _fields(resource.spec, reveal=reveal)
    metadata = _fields(resource.metadata)
    if not kind.namespaced:
        metadata.pop("namespace", None)
    data: dict[str, Any] = {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": metadata}
    data |= spec if kind.flat else {"spec": spec}
    if resource.status is not None and (status := _fields(resource.status)):
        data["status"] = status
    return data


def to_yaml(resources: Iterable[Resource], *, reveal: bool = False) -> str:
    """One document per resource, divided by `---`; see `to_dict`."""
    documents = (to_dict(resource, reveal=reveal) for resource in resources)
    return yaml.safe_dump_all(documents, sort_keys=False, allow_unicode=True, width=120)


def _fields(model: Model, *, reveal: bool = False) -> dict[str, Any]:
    return model.model_dump(mode="json", by_alias=True, exclude_unset=True, context={REVEAL: reveal})
