"""Objects as the API server shows them to resources."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from mizzen.api.parse import parse_object
from mizzen.api.problem import Problem
from mizzen.api.resource import Resource, ResourceKey
from mizzen.kubernetes.collections import Collection

_METADATA = (
    "name", "namespace", "labels", "annotations", "creationTimestamp", "deletionTimestamp", "generation", "uid",
    "ownerReferences",
)  # fmt: skip
_POD_SPEC = ("serviceAccountName", "nodeName", "hostNetwork")
_CONTAINER = ("name", "image", "ports")


@dataclass(frozen=True, slots=True)
class Reading:
    """One object at one version: the resource, or why there is none."""

    key: ResourceKey
    version: str
    resource: Resource | None
    problems: tuple[Problem, ...] = ()
    uid: str = ""
    """Differs when an object was removed and made again."""
    generation: int = 0
    """Of its spec, also where that is wrong; 0 for kinds that do not count."""
    refused: Resource | None = None
    """What can be told of it where there is no resource."""


class Malformed(ValueError):
    """What the API server sent is no object: it cannot even be told which one it would be."""


def read_objects(collection: Collection, objects: Iterable[Any]) -> list[Reading]:
    """Read the items of a list; raises Malformed."""
    return [read_object(collection, item) for item in objects]


def read_object(collection: Collection, given: Any) -> Reading:
    """Read one object; raises Malformed where it has no name. A resource's own faults are problems of it alone.

    The resource version is left out of the resource: an object in which nothing else differs is the same to a mesh.
    """
    metadata, version = metadata_of(given)
    key = ResourceKey(collection.kind.key, metadata.get("namespace", ""), metadata["name"])
    # Items of lists do not say what they are, and metadata alone has a kind of its own.
    kept = _pruned(collection, given) | {
        "apiVersion": collection.api_version,
        "kind": collection.kind.name,
        "metadata": _metadata(collection, metadata),
    }
    parsed = parse_object(kept)
    return Reading(
        key,
        version,
        resource=next(iter(parsed.resources), None),
        problems=parsed.problems,
        uid=str(metadata.get("uid", "")),
        generation=metadata.get("generation") or 0,
        refused=next(iter(parsed.refused), None),
    )


def metadata_of(given: Any) -> tuple[dict[str, Any], str]:
    """An object's metadata and resource version; raises Malformed."""
    metadata = given.get("metadata") if isinstance(given, dict) else None
    if not isinstance(metadata, dict) or not isinstance(metadata.get("name"), str):
        raise Malformed("the API server sent an object without metadata.name")
    return metadata, str(metadata.get("resourceVersion", ""))


def _metadata(collection: Collection, given: Mapping[str, Any]) -> dict[str, Any]:
    kept = {key: given[key] for key in _METADATA if key in given}
    if not collection.annotations:
        kept.pop("annotations", None)
    if collection.labels is not None:
        labels = kept.get("labels") or {}
        kept["labels"] = {key: value for key, value in labels.items() if key in collection.labels}
    return kept


def _pruned(collection: Collection, given: Mapping[str, Any]) -> dict[str, Any]:
    """Without what no mesh reads: containers are most of a Pod's size, and other people's secrets are best not had."""
    if collection.metadata_only:
        return {}
    kept = {key: value for key, value in given.items() if key != "status" or collection.kind.status is not None}
    if collection.kind.name == "Secret":
        kept["data"] = {key: value for key, value in (kept.get("data") or {}).items() if key in collection.values}
    if collection.kind.name == "Pod":
        spec = kept.get("spec") or {}
        kept["spec"] = {key: spec[key] for key in _POD_SPEC if key in spec}
        if collection.containers:
            containers = spec.get("containers") or ()
            kept["spec"]["containers"] = [{key: each[key] for key in _CONTAINER if key in each} for each in containers]
    return kept
