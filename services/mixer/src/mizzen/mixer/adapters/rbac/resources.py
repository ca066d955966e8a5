"""ServiceRole and ServiceRoleBinding from YAML."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from mizzen.api.mixer.rbac import ServiceRole, ServiceRoleBinding
from mizzen.mixer.adapter import AdapterError
from mizzen.mixer.adapters.params import read

log = logging.getLogger(__name__)

GROUP = "rbac.istio.io"


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
