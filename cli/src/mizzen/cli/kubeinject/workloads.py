"""Where Kubernetes' objects hold Pods."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from mizzen.api.problem import Path
from mizzen.injector.injection.owner import Owner, owner_of

_TEMPLATE: Path = ("spec", "template")
PATHS: dict[tuple[str, str], Path] = {
    ("", "Pod"): (),
    ("", "ReplicationController"): _TEMPLATE,
    ("apps", "Deployment"): _TEMPLATE,
    ("apps", "StatefulSet"): _TEMPLATE,
    ("apps", "DaemonSet"): _TEMPLATE,
    ("apps", "ReplicaSet"): _TEMPLATE,
    ("batch", "Job"): _TEMPLATE,
    ("batch", "CronJob"): ("spec", "jobTemplate", "spec", "template"),
    ("apps.openshift.io", "DeploymentConfig"): _TEMPLATE,
}
"""From a workload's API group and kind to its Pod."""


@dataclass(frozen=True, slots=True)
class Workload:
    """A Pod in a document, and the object that it belongs to."""

    path: Path
    """Of the Pod in the document."""
    pod: Any
    owner: Owner
    name: str
    """`Deployment shop/reviews`, for messages."""


def workloads(value: Any, namespace: str, path: Path = ()) -> Iterator[Workload]:
    """Every Pod in an object; a List is looked through. Other objects have none.

    `namespace` is for objects that name none.
    """
    if not isinstance(value, dict):
        return
    version, kind = str(value.get("apiVersion")), str(value.get("kind"))
    if isinstance(value.get("items"), list) and kind.endswith("List"):
        for index, item in enumerate(value["items"]):
            yield from workloads(item, namespace, (*path, "items", index))
        return
    inside = PATHS.get((version.rpartition("/")[0], kind))
    pod = _at(value, inside) if inside is not None else None
    if inside is None or pod is None:
        return
    metadata = value.get("metadata")
    if not isinstance(metadata, dict):
        metadata = {}
    space = str(metadata.get("namespace") or namespace)
    name = str(metadata.get("name") or metadata.get("generateName") or "")
    owner = Owner(version, kind, name, space) if inside else owner_of(pod, space)
    yield Workload((*path, *inside), pod, owner, f"{kind} {space}/{name}")


def _at(value: Any, path: Path) -> Any:
    for part in path:
        value = value.get(part) if isinstance(value, dict) else None
    return value
