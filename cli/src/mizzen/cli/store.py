"""The applied configuration: one resource a file, `<namespace>/<Kind>-<name>.yaml`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from mizzen.api.dump import to_dict, to_yaml
from mizzen.api.kinds import KINDS
from mizzen.api.parse import parse
from mizzen.api.resource import Resource, ResourceKey
from mizzen.runtime.files import write_atomic

Outcome = Literal["created", "configured", "unchanged"]
CLUSTER = "_cluster"
"""The folder of kinds without a namespace; no namespace can be called so."""


class ConfigStore:
    """Reads and writes a folder of configuration; files put there by hand count as well."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> dict[ResourceKey, Resource]:
        """All good resources by key; with a file for each, a later file name wins."""
        return {resource.key: resource for resource, _ in self._located()}

    def write(self, resources: Iterable[Resource]) -> list[tuple[Resource, Outcome]]:
        """Put the resources there; what is already the same is not written again."""
        located = {resource.key: (resource, file) for resource, file in self._located()}
        outcomes: list[tuple[Resource, Outcome]] = []
        for resource in resources:
            before = located.get(resource.key)
            if before is not None and to_dict(before[0]) == to_dict(resource):
                outcomes.append((resource, "unchanged"))
                continue
            path = self._path_of(resource.key)
            write_atomic(path, to_yaml([resource]))
            if before is not None and before[1] != path:
                self._remove_from(before[1], resource.key)
            outcomes.append((resource, "created" if before is None else "configured"))
        return outcomes

    def delete(self, keys: Iterable[ResourceKey]) -> list[tuple[ResourceKey, bool]]:
        """Remove the resources; False for one that is not there."""
        located = {resource.key: file for resource, file in self._located()}
        outcomes = []
        for key in keys:
            file = located.pop(key, None)
            if file is not None:
                self._remove_from(file, key)
            outcomes.append((key, file is not None))
        return outcomes

    def _located(self) -> list[tuple[Resource, Path]]:
        found: list[tuple[Resource, Path]] = []
        for file in sorted(self._path.rglob("*.y*ml")):
            if file.name.startswith(".") or file.suffix not in (".yaml", ".yml"):
                continue
            parsed = parse(file.read_text(encoding="utf-8"), file=str(file.relative_to(self._path)))
            found.extend((resource, file) for resource in parsed.resources)
        return found

    def _path_of(self, key: ResourceKey) -> Path:
        folder = key.namespace if KINDS[key.kind].namespaced else CLUSTER
        return self._path / folder / f"{key.kind}-{key.name}.yaml"

    def _remove_from(self, file: Path, key: ResourceKey) -> None:
        """Take one resource out of a file that a person may have filled with several."""
        others = [
            resource
            for resource in parse(file.read_text(encoding="utf-8"), file=file.name).resources
            if resource.key != key
        ]
        if others:
            write_atomic(file, to_yaml(others))
        else:
            file.unlink(missing_ok=True)
