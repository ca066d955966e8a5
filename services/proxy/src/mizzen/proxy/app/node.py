"""How this proxy introduces itself to Pilot."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

TEXT_PREFIX = "ISTIO_META_"
JSON_PREFIX = "ISTIO_METAJSON_"


@dataclass(frozen=True, slots=True)
class Node:
    """envoy.config.core.v3.Node as plain values."""

    id: str
    """`<type>~<ip>~<pod>.<namespace>~<domain>`."""
    cluster: str
    metadata: Mapping[str, Any]

    @classmethod
    def of(cls, role: str, ip: str, name: str, domain: str, cluster: str, metadata: Mapping[str, Any]) -> Node:
        """Put it together; `name` is `<pod>.<namespace>`. Raises ValueError for what would not be understood."""
        ipaddress.ip_address(ip)
        node_id = "~".join((role, ip, name, domain))
        if node_id.count("~") != 3:
            raise ValueError(f"name and domain of a node may not contain '~': {node_id}")
        if not cluster:
            pod, _, namespace = name.rpartition(".")
            cluster = f"{metadata.get('LABELS', {}).get('app', pod)}.{namespace}"
        return cls(node_id, cluster, metadata)


def read_metadata(environment: Mapping[str, str]) -> dict[str, Any]:
    """ISTIO_META_KEY=text gives KEY; the keys of the object in ISTIO_METAJSON_ANY are merged. Raises ValueError."""
    metadata: dict[str, Any] = {}
    for variable, text in sorted(environment.items()):
        if variable.startswith(TEXT_PREFIX):
            metadata[variable.removeprefix(TEXT_PREFIX)] = text
        elif variable.startswith(JSON_PREFIX):
            metadata.update(_object(variable, text))
    if not isinstance(metadata.get("LABELS", {}), dict):
        raise ValueError("node metadata LABELS must be an object")
    return metadata


def _object(variable: str, text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise ValueError(f"{variable} is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise ValueError(f"{variable} must be a JSON object")
    return value
