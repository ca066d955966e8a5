"""ServiceRole and ServiceRoleBinding (rbac.istio.io/v1alpha1) from YAML. Source: istio/api, rbac/v1alpha1 at 1.0.9."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import Field

from mizzen.api.types import Model
from mizzen.mixer.adapter import AdapterError
from mizzen.mixer.adapters.params import by_number, read

log = logging.getLogger(__name__)

GROUP = "rbac.istio.io"


class Constraint(Model):
    """A property of the action that must have one of these values."""

    key: str
    values: tuple[str, ...] = ()


class AccessRule(Model):
    """What may be done. No paths means every path."""

    services: Annotated[tuple[str, ...], Field(min_length=1)]
    paths: tuple[str, ...] = ()
    methods: Annotated[tuple[str, ...], Field(min_length=1)]
    constraints: tuple[Constraint, ...] = ()


class ServiceRole(Model):
    """Things that may be done."""

    rules: tuple[AccessRule, ...] = ()


class Subject(Model):
    """Who: everything that is set must be so."""

    user: str = ""
    group: str = ""
    properties: dict[str, str] = Field(default_factory=dict)


class RoleRef(Model):
    """A role of the binding's namespace."""

    kind: str
    name: Annotated[str, Field(min_length=1)]


class Mode(StrEnum):
    """PERMISSIVE bindings are for trying out; Mixer's adapter never looked at this."""

    ENFORCED = "ENFORCED"
    PERMISSIVE = "PERMISSIVE"


class ServiceRoleBinding(Model):
    """Who has a role."""

    subjects: tuple[Subject, ...] = ()
    role_ref: RoleRef
    mode: Annotated[Mode, by_number(Mode)] = Mode.ENFORCED


@dataclass(frozen=True, slots=True)
class Named:
    """A resource and what it is called."""

    namespace: str
    name: str
    spec: ServiceRole | ServiceRoleBinding


_MODELS: dict[str, type[ServiceRole] | type[ServiceRoleBinding]] = {
    "ServiceRole": ServiceRole,
    "ServiceRoleBinding": ServiceRoleBinding,
}


def parse(text: str, path: Path) -> Sequence[Named]:
    """The roles and bindings in a file; one that is wrong is told and left out. Raises ValueError for no YAML."""
    try:
        documents = list(yaml.safe_load_all(text))
    except yaml.YAMLError as error:
        raise ValueError(f"not YAML: {error}") from None
    found = []
    for document in _objects(documents):
        kind, version = document.get("kind"), str(document.get("apiVersion", ""))
        if version.partition("/")[0] != GROUP or kind not in _MODELS:
            continue
        metadata = document.get("metadata")
        names = metadata if isinstance(metadata, dict) else {}
        namespace, name = str(names.get("namespace") or "default"), str(names.get("name", ""))
        try:
            spec = document.get("spec") or {}
            if not isinstance(spec, dict):
                raise AdapterError("spec must be a mapping of fields")
            found.append(Named(namespace, name, read(_MODELS[kind], spec)))
        except AdapterError as error:
            log.error("%s: %s %s/%s is left out: %s", path, kind, namespace, name, error)
    return found


def _objects(documents: Sequence[Any]) -> Iterator[dict[str, Any]]:
    """Single objects, also those in Lists."""
    for document in documents:
        if not isinstance(document, dict):
            continue
        if str(document.get("kind", "")).endswith("List") and isinstance(document.get("items"), list):
            yield from _objects(document["items"])
        else:
            yield document
