"""A Pod that was injected before, as its author wrote it.

Kubernetes calls a webhook again after others changed the Pod, and `mizzen kube-inject` may have injected the workload's
template. Taking the first injection back before the next makes both safe.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from mizzen.injector.injection.names import (
    OVERRIDES,
    PROBERS_VARIABLE,
    PROXY,
    SCRAPE_VARIABLE,
    SECTIONS,
    STATUS,
    Object,
)
from mizzen.injector.injection.pods import annotations_of, containers_of, copied, find_container


@dataclass(frozen=True, slots=True)
class Original:
    """The author's Pod, and what the earlier injection moved out of it."""

    pod: Object
    probers: dict[str, Any] = field(default_factory=dict)
    scrape: dict[str, Any] | None = None


def original_of(pod: Object) -> Original:
    """A copy of the Pod without what an earlier injection added; probes and scrape annotations stay redirected.

    A status that is not ours to read counts as none, as in Istio.
    """
    pod = copied(pod)
    status = _status(pod)
    if status is None:
        return Original(pod)
    proxy = find_container(pod, PROXY)
    probers = _variable(proxy, PROBERS_VARIABLE) or {}
    scrape = _variable(proxy, SCRAPE_VARIABLE)
    overrides = json.loads(annotations_of(pod).get(OVERRIDES, "{}"))
    for section in SECTIONS:
        _restore(pod["spec"], section, set(status.get(section) or ()), overrides.get(section, []))
    _keep(pod["spec"], "volumes", lambda volume: volume["name"] not in (status.get("volumes") or ()))
    del pod["metadata"]["annotations"][STATUS]
    return Original(pod, probers, scrape)


def _status(pod: Object) -> Object | None:
    try:
        status = json.loads(annotations_of(pod)[STATUS])
    except (KeyError, ValueError, RecursionError):
        return None
    lists = [status.get(section) or [] for section in SECTIONS] if isinstance(status, dict) else [None]
    return status if all(map(_are_names, lists)) else None


def _are_names(items: object) -> bool:
    return isinstance(items, list) and all(isinstance(item, str) for item in items)


def _variable(container: Object | None, name: str) -> dict[str, Any] | None:
    """A JSON object in the container's environment."""
    for variable in (container or {}).get("env") or ():
        if variable.get("name") == name:
            try:
                value = json.loads(variable.get("value", ""))
            except ValueError:
                return None
            return value if isinstance(value, dict) else None
    return None


def _restore(spec: Object, section: str, injected: set[str], overrides: list[Object]) -> None:
    """Take injected containers out; where the author had declared one, theirs comes back in its place."""
    before = {container["name"]: container for container in overrides}
    containers = [
        before.pop(container["name"], container)
        for container in containers_of({"spec": spec}, section)
        if container["name"] in before or container["name"] not in injected
    ]
    spec[section] = [*containers, *before.values()]
    if section == "initContainers":
        _keep(spec, section, lambda container: True)


def _keep(spec: Object, name: str, wanted: Callable[[Object], bool]) -> None:
    """Leave the wanted items in a list, and no empty list."""
    items = [item for item in spec.get(name) or () if wanted(item)]
    if items:
        spec[name] = items
    else:
        spec.pop(name, None)
