"""One CustomResourceDefinition of each kind that is not Kubernetes' own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from mizzen.api.crd.schema import structural
from mizzen.api.kinds import KINDS, Kind
from mizzen.api.mixer.kinds import GROUP as MIXER


class Column(NamedTuple):
    """What `kubectl get` shows of an object."""

    name: str
    path: str
    type: str = "string"


AGE: Final = Column("Age", ".metadata.creationTimestamp", "date")
COLUMNS: Final[Mapping[str, tuple[Column, ...]]] = {
    "VirtualService": (Column("Gateways", ".spec.gateways"), Column("Hosts", ".spec.hosts"), AGE),
    "DestinationRule": (Column("Host", ".spec.host"), AGE),
    "ServiceEntry": (
        Column("Hosts", ".spec.hosts"),
        Column("Location", ".spec.location"),
        Column("Resolution", ".spec.resolution"),
        AGE,
    ),
    "WorkloadEntry": (AGE, Column("Address", ".spec.address")),
    "rule": (Column("Match", ".spec.match"), AGE),
    "handler": (Column("Adapter", ".spec.compiledAdapter"), AGE),
    "instance": (Column("Template", ".spec.compiledTemplate"), AGE),
}
"""Istio's, and the like for Mixer."""
SHORT_NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    "VirtualService": ("vs",),
    "DestinationRule": ("dr",),
    "Gateway": ("gw",),
    "ServiceEntry": ("se",),
    "WorkloadEntry": ("we",),
}
_ANY_OBJECT: Final = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}


def definitions() -> Iterator[dict[str, Any]]:
    """All, by group and name."""
    own = [kind for kind in KINDS.values() if kind.is_own]
    for kind in sorted(own, key=lambda kind: (kind.group, kind.name)):
        yield definition(kind)


def definition(kind: Kind) -> dict[str, Any]:
    """The CustomResourceDefinition of a kind."""
    many = plural(kind.name)
    names: dict[str, Any] = {
        "kind": kind.name,
        "listKind": f"{kind.name}List",
        "plural": many,
        "singular": kind.name.lower(),
        "categories": ["istio-io", kind.group.replace(".", "-")],
    }
    if kind.name in SHORT_NAMES:
        names["shortNames"] = list(SHORT_NAMES[kind.name])
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": f"{many}.{kind.group}",
            "annotations": {"helm.sh/resource-policy": "keep"},
            "labels": {"app.kubernetes.io/part-of": "mizzen"},
        },
        "spec": {
            "group": kind.group,
            "names": names,
            "scope": "Namespaced" if kind.namespaced else "Cluster",
            "versions": [_version(kind, version, index == 0) for index, version in enumerate(kind.versions)],
        },
    }


def plural(name: str) -> str:
    """As Istio names them: serviceentries, gateways, prometheuses."""
    word = name.lower()
    if word.endswith("y") and word[-2] not in "aeiou":
        return f"{word[:-1]}ies"
    return f"{word}es" if word.endswith("s") else f"{word}s"


def _version(kind: Kind, version: str, is_stored: bool) -> dict[str, Any]:
    # Istio's own Mixer had no schemas, and its documents write names in snake_case.
    spec = structural(kind.model, open_fields=kind.group == MIXER)
    schema: dict[str, Any] = {
        "type": "object",
        "description": spec.get("description", ""),
        "properties": {"spec": spec, "status": _ANY_OBJECT},
    }
    if not kind.empty:
        schema["required"] = ["spec"]
    made: dict[str, Any] = {
        "name": version,
        "served": True,
        "storage": is_stored,
        "schema": {"openAPIV3Schema": schema},
        "subresources": {"status": {}},
        "additionalPrinterColumns": [
            {"name": column.name, "jsonPath": column.path, "type": column.type}
            for column in COLUMNS.get(kind.name, (AGE,))
        ],
    }
    return made
