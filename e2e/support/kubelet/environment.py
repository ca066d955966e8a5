"""Variables of a container, and what `$(NAME)` and references to fields stand for."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

from mizzen.injector.injection.quantity import parse_quantity
from support.kubelet.objects import Object, Unable

CAPACITY = {"cpu": "64", "memory": "256Gi", "ephemeral-storage": "256Gi", "pods": "250"}
"""What the node says that it has: nothing is measured or limited here."""
_REFERENCE = re.compile(r"\$(\$|\(([-._a-zA-Z0-9]+)\))")
_ENTRY = re.compile(r"metadata\.(labels|annotations)\['(.+)'\]")


def expand(text: str, known: Mapping[str, str]) -> str:
    """`$(NAME)` of a known variable is its value, `$$` a dollar; all else stays."""
    return _REFERENCE.sub(lambda found: "$" if found[1] == "$" else known.get(found[2], found[0]), text)


def field_of(pod: Object, path: str) -> str:
    """What a fieldRef names; raises Unable."""
    if entry := _ENTRY.fullmatch(path):
        return str(pod["metadata"].get(entry[1], {}).get(entry[2], ""))
    if path in ("metadata.labels", "metadata.annotations"):
        entries = pod["metadata"].get(path.partition(".")[2], {})
        return "\n".join(f'{name}="{_escaped(value)}"' for name, value in sorted(entries.items()))
    if path in ("metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName", "spec.serviceAccountName"):
        part, _, name = path.partition(".")
        return str(pod[part].get(name, ""))
    if path in ("status.podIP", "status.podIPs", "status.hostIP", "status.hostIPs"):
        return str(pod["status"].get(path.partition(".")[2].removesuffix("s"), ""))
    raise Unable(f"fieldRef {path}")


def resource_of(pod: Object, container: Object, reference: Object) -> str:
    """What a resourceFieldRef names; what is not limited is the node's. Raises Unable."""
    named = reference.get("containerName") or container.get("name")
    own = next((each for each in pod["spec"]["containers"] if each["name"] == named), container)
    kind, _, resource = reference["resource"].partition(".")
    limit = own.get("resources", {}).get(kind, {}).get(resource)
    if limit is None and kind == "requests":
        return "0"
    if limit is None and resource not in CAPACITY:
        raise Unable(f"resourceFieldRef {reference['resource']}")
    divisor = parse_quantity(str(reference.get("divisor") or "1")) or 1
    return str(math.ceil(parse_quantity(str(limit or CAPACITY[resource])) / divisor))


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
