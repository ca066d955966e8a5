"""Reading Pods: missing and null fields are empty, and what is no Pod is refused in words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mizzen.injector.injection.names import SECTIONS, InjectionError, Object

_LISTS = (*SECTIONS, "volumes", "imagePullSecrets")
_MAPS = ("labels", "annotations")


def check_shape(pod: Object) -> None:
    """Raise InjectionError where a field that the engine works on has another type than Kubernetes gives it."""
    spec = pod.get("spec")
    if not isinstance(spec, dict):
        raise InjectionError("spec is required, and must be a mapping")
    metadata = pod.get("metadata") or {}
    if not isinstance(metadata, dict):
        raise InjectionError("metadata must be a mapping")
    for name in _MAPS:
        texts = metadata.get(name) or {}
        if not isinstance(texts, dict):
            raise InjectionError(f"metadata.{name} must be a mapping of names to text")
        for key, value in texts.items():
            if not isinstance(value, str):
                raise InjectionError(f"metadata.{name}: {key} must be text; put {value!r} in quotes")
    for name in _LISTS:
        _check_named(f"spec.{name}", spec.get(name))
    if not spec.get("containers"):
        raise InjectionError("spec.containers is required")
    for section in SECTIONS:
        for container in spec.get(section) or ():
            _check_container(f"spec.{section}[{container['name']}]", container)


def _check_named(path: str, items: object) -> None:
    if items is None:
        return
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise InjectionError(f"{path} must be a list of mappings")
    names = [item.get("name") for item in items]
    if not all(isinstance(name, str) and name for name in names):
        raise InjectionError(f"{path}: each item needs a name")
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None and not path.endswith("imagePullSecrets"):
        raise InjectionError(f"{path}: the name {twice} stands twice")


def _check_container(path: str, container: Object) -> None:
    for name in ("env", "ports", "volumeMounts"):
        items = container.get(name)
        if items is not None and not (isinstance(items, list) and all(isinstance(item, dict) for item in items)):
            raise InjectionError(f"{path}.{name} must be a list of mappings")
    for name in ("livenessProbe", "readinessProbe", "startupProbe", "lifecycle", "securityContext", "resources"):
        if not isinstance(container.get(name) or {}, dict):
            raise InjectionError(f"{path}.{name} must be a mapping")


def copied(value: Any) -> Any:
    """A copy in which nothing is shared: YAML's aliases give one list to several fields, and one of them may change."""
    if isinstance(value, dict):
        return {key: copied(item) for key, item in value.items()}
    return [copied(item) for item in value] if isinstance(value, list) else value


def labels_of(pod: Object) -> dict[str, str]:
    """The labels, {} where there are none."""
    return dict((pod.get("metadata") or {}).get("labels") or {})


def annotations_of(pod: Object) -> dict[str, str]:
    """The annotations, {} where there are none."""
    return dict((pod.get("metadata") or {}).get("annotations") or {})


def containers_of(pod: Object, section: str) -> list[Object]:
    """The containers of one list of the spec."""
    return list(pod["spec"].get(section) or ())


def all_containers(pod: Object) -> Iterator[Object]:
    """Init containers first, as they run."""
    for section in SECTIONS:
        yield from containers_of(pod, section)


def find_container(pod: Object, name: str) -> Object | None:
    """The container of this name in either list."""
    return next((container for container in all_containers(pod) if container["name"] == name), None)


def set_annotation(pod: Object, name: str, value: str) -> None:
    """Change the Pod in place."""
    metadata = pod.setdefault("metadata", {})
    metadata["annotations"] = annotations_of(pod) | {name: value}
