"""Kubernetes' strategic merge, for Pods: lists of named things are merged by name, other lists are replaced."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from mizzen.injector.injection.names import Object
from mizzen.injector.injection.pods import copied

_KEYS = {
    "containers": "name",
    "initContainers": "name",
    "ephemeralContainers": "name",
    "volumes": "name",
    "imagePullSecrets": "name",
    "env": "name",
    "ports": "containerPort",
    "volumeMounts": "mountPath",
    "volumeDevices": "devicePath",
    "hostAliases": "ip",
    "topologySpreadConstraints": "topologyKey",
}
"""The merge keys that Kubernetes' types declare, by the name of the list."""
_WHOLE = frozenset({"volumes", "env"})
"""Lists whose items replace each other: a volume or a variable has one source, and two merged ones would be none."""
_DIRECTIVE = "$patch"


def merge(below: Object, above: Object) -> Object:
    """A new value: `above` laid over `below`.

    null removes a field, as in Kubernetes; `$patch: delete` removes an item of a list, `$patch: replace` replaces a
    mapping as a whole.
    """
    if above.get(_DIRECTIVE) == "replace":
        return {key: _clean(value) for key, value in above.items() if key != _DIRECTIVE}
    result = {key: copied(value) for key, value in below.items()}
    for key, value in above.items():
        if value is None:
            result.pop(key, None)
        elif key != _DIRECTIVE:
            result[key] = _merge_field(key, result.get(key), value)
    return result


def _merge_field(name: str, below: Any, above: Any) -> Any:
    if isinstance(above, dict):
        return merge(below if isinstance(below, dict) else {}, above)
    if isinstance(above, list) and name in _KEYS:
        return _merge_lists(name, below if isinstance(below, list) else [], above)
    return _clean(above)


def _merge_lists(name: str, below: Iterable[Any], above: Iterable[Any]) -> list[Any]:
    """Items of `below` keep their places; new ones follow in their own order."""
    key = _KEYS[name]
    items = {item[key]: item for item in below if key in item}
    for item in above:
        if not isinstance(item, dict) or key not in item:
            raise ValueError(f"each item of {name} needs the field {key}, which the list is merged by")
        if item.get(_DIRECTIVE) == "delete":
            items.pop(item[key], None)
        else:
            items[item[key]] = merge({} if name in _WHOLE else items.get(item[key], {}), item)
    return list(items.values())


def _clean(value: Any) -> Any:
    """A copy without directives and nulls of the mappings in it."""
    if isinstance(value, dict):
        return {key: _clean(item) for key, item in value.items() if item is not None and key != _DIRECTIVE}
    return [_clean(item) for item in value] if isinstance(value, list) else value
