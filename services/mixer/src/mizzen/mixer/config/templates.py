"""The templates: what is done with their instances, and the types of their fields."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from ipaddress import IPv4Address, IPv6Address
from typing import Any, get_type_hints

from mizzen.api.mixer.instance import TEMPLATES as MODELS
from mizzen.api.types import Model
from mizzen.attributes.values import Value, ValueType
from mizzen.mixer import templates
from mizzen.mixer.templates import Instance


class Variety(Enum):
    """What an instance is for."""

    CHECK = "check"
    REPORT = "report"
    QUOTA = "quota"
    GENERATE = "attribute_generator"


class Shape(Enum):
    """Fields whose type the expressions decide."""

    ANY = "any type"
    MAP = "a mapping of names to any types"


FieldType = ValueType | Shape | Mapping[str, Any]
"""The type of a field; of a field with fields of its own, theirs."""

_TYPES: Mapping[Any, FieldType] = {
    str: ValueType.STRING,
    int: ValueType.INT64,
    bool: ValueType.BOOL,
    datetime: ValueType.TIMESTAMP,
    IPv4Address | IPv6Address: ValueType.IP_ADDRESS,
    Value: Shape.ANY,
    Mapping[str, Value]: Shape.MAP,
}


@dataclass(frozen=True, slots=True)
class Template:
    """One kind of instance."""

    name: str
    variety: Variety
    instance: type[Instance]
    model: type[Model]
    fields: Mapping[str, FieldType]
    """By attribute of `instance` and of `model`, in the order of `instance`."""
    output: Mapping[str, ValueType] = dataclasses.field(default_factory=dict)
    """What a generator answers: the fields behind `$out.` in attribute bindings."""


def _fields(kind: type) -> dict[str, FieldType]:
    hints = get_type_hints(kind)
    names = [field.name for field in dataclasses.fields(kind) if field.name != "name"]
    return {
        name: _fields(hints[name]) if dataclasses.is_dataclass(hints[name]) else _TYPES[hints[name]] for name in names
    }


def _side(side: str, *fields: str) -> dict[str, ValueType]:
    return {f"{side}_{name}": _OUTPUT_TYPES.get(name, ValueType.STRING) for name in fields}


_OUTPUT_TYPES = {
    "pod_ip": ValueType.IP_ADDRESS,
    "host_ip": ValueType.IP_ADDRESS,
    "labels": ValueType.STRING_MAP,
}
_POD = (
    "pod_uid", "pod_ip", "pod_name", "labels", "namespace", "service_account_name", "host_ip", "workload_uid",
    "workload_name", "workload_namespace", "owner",
)  # fmt: skip
_OUTPUTS = {"kubernetes": {**_side("source", *_POD), **_side("destination", *_POD, "container_name")}}

_KINDS = {
    "apikey": (Variety.CHECK, templates.ApiKey),
    "authorization": (Variety.CHECK, templates.Authorization),
    "checknothing": (Variety.CHECK, templates.CheckNothing),
    "edge": (Variety.REPORT, templates.Edge),
    "kubernetes": (Variety.GENERATE, templates.Kubernetes),
    "listentry": (Variety.CHECK, templates.ListEntry),
    "logentry": (Variety.REPORT, templates.LogEntry),
    "metric": (Variety.REPORT, templates.Metric),
    "quota": (Variety.QUOTA, templates.Quota),
    "reportnothing": (Variety.REPORT, templates.ReportNothing),
    "tracespan": (Variety.REPORT, templates.TraceSpan),
}
TEMPLATES: Mapping[str, Template] = {
    name: Template(name, variety, kind, MODELS[name], _fields(kind), _OUTPUTS.get(name, {}))
    for name, (variety, kind) in _KINDS.items()
}
"""By name, which is also the kind of instances in Istio 1.0."""
