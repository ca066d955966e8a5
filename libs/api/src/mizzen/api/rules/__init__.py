"""What must hold between the fields of a resource, beyond what its model says. One module per kind.

A rule yields findings and goes on, so that a user sees all of them at once.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mizzen.api import syntax
from mizzen.api.problem import Path, Severity
from mizzen.api.resource import Metadata


@dataclass(frozen=True, slots=True)
class Finding:
    """A problem at a path (YAML names) inside a spec."""

    path: Path
    message: str
    severity: Severity = "error"


Rules = Callable[[Any, Metadata], Iterator[Finding]]
"""Takes the spec of the rules' kind, and the resource's metadata."""


def error(path: Path, message: str) -> Finding:
    """A finding that keeps the resource out of the mesh."""
    return Finding(path, message)


def warning(path: Path, message: str) -> Finding:
    """A finding that the user should know of."""
    return Finding(path, message, "warning")


def check_metadata(metadata: Metadata, *, label_name: bool, namespaced: bool) -> Iterator[Finding]:
    """Names and labels as Kubernetes has them. Paths are from the metadata."""
    if label_name and not syntax.is_dns1123_label(metadata.name):
        yield error(("name",), f"{metadata.name!r} must be lower-case letters, digits and inner dashes, at most 63")
    elif not syntax.is_dns1123_subdomain(metadata.name):
        yield error(
            ("name",), f"{metadata.name!r} must be lower-case letters, digits, inner dashes and dots, at most 253"
        )
    if namespaced and not syntax.is_dns1123_label(metadata.namespace):
        yield error(
            ("namespace",), f"{metadata.namespace!r} must be lower-case letters, digits and inner dashes, at most 63"
        )
    yield from check_labels(metadata.labels, ("labels",))
    for name in metadata.annotations:
        if name.startswith("internal.istio.io/"):
            yield error(("annotations", name), "annotations internal.istio.io/ are the control plane's own")


def check_export_to(export_to: tuple[str, ...], namespace: str, *, none_allowed: bool = False) -> Iterator[Finding]:
    """`.` (own namespace), `*` (all; alone), `~` (none; only in a ServiceEntry, alone), or namespaces; each once."""
    seen: dict[str, int] = {}
    for index, entry in enumerate(export_to):
        path = ("exportTo", index)
        if entry == "~" and not none_allowed:
            yield error(path, "'~' is only allowed in a ServiceEntry")
        elif entry not in (".", "*", "~") and not syntax.is_dns1123_label(entry):
            yield error(path, f"{entry!r} is not a namespace, '.' or '*'")
        place = namespace if entry == "." else entry
        if place in seen:
            yield error(path, f"{entry!r} is the same as exportTo[{seen[place]}]")
        seen.setdefault(place, index)
    for alone in ("*", "~"):
        if alone in seen and len(seen) > 1:
            yield error(("exportTo", seen[alone]), f"{alone!r} must stand alone")


def check_labels(labels: Mapping[str, str], path: Path, *, selector: bool = False) -> Iterator[Finding]:
    """Label names and values as Kubernetes has them. Of a selector: no labels is a warning."""
    for name, value in labels.items():
        if "*" in name + value and selector:
            yield error((*path, name), f"a selector has no wildcards, got {name}={value}")
        elif not syntax.is_label_name(name):
            yield error(
                (*path, name), f"{name!r} is not a label name: [prefix/]name, at most 63 letters, digits, '-_.'"
            )
        elif not syntax.is_label_value(value):
            yield error((*path, name), f"{value!r} is not a label value: at most 63 letters, digits, '-_.'")
    if selector and not labels:
        yield warning(path, "the selector has no labels and so selects every workload of the namespace")


def check_namespace(namespace: str, path: Path) -> Iterator[Finding]:
    """A namespace's name, or nothing."""
    if namespace and not syntax.is_dns1123_label(namespace):
        yield error(path, f"{namespace!r} is not a namespace")


def check_port_name(name: str, path: Path) -> Iterator[Finding]:
    """A DNS-1123 label."""
    if not syntax.is_dns1123_label(name):
        yield error(path, f"{name!r} is not a port name: lower-case letters, digits and inner dashes, at most 63")
