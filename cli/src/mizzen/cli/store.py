"""The applied configuration: one resource a file, `<namespace>/<Kind>-<name>.yaml`."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from mizzen.api.dump import to_dict
from mizzen.api.kinds import KINDS
from mizzen.api.kubernetes import Secret
from mizzen.api.parse import Parsed, parse
from mizzen.api.resource import Resource, ResourceKey
from mizzen.cli.errors import UserError
from mizzen.cli.handwriting import appended, without
from mizzen.runtime.files import write_atomic

Outcome = Literal["created", "configured", "unchanged"]
CLUSTER = "_cluster"
"""The folder of kinds without a namespace; no namespace can be called so."""


class ConfigStore:
    """Reads and writes a folder of configuration; files put there by hand count as well."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> dict[ResourceKey, Resource]:
        """All good resources by key; of two files with the same one, the first by path counts, as in Pilot."""
        return {key: resource for key, (resource, _) in self._located().items()}

    def write(self, resources: Iterable[Resource]) -> list[tuple[Resource, Outcome]]:
        """Put the resources there; what is already the same is not written again. Raises UserError."""
        outcomes: list[tuple[Resource, Outcome]] = []
        with self._locked():
            located = self._located()
            for resource in resources:
                before = located.get(resource.key)
                if before is not None and to_dict(before[0], reveal=True) == to_dict(resource, reveal=True):
                    outcomes.append((resource, "unchanged"))
                    continue
                path = self._path_of(resource.key)
                rest = self._without(path, resource.key)
                elsewhere = before is not None and before[1] != path
                left = self._without(before[1], resource.key) if before is not None and elsewhere else None
                _put(path, appended(rest, resource), private=isinstance(resource.spec, Secret))
                if before is not None and left is not None:
                    _put(before[1], left)  # after the new file, so that the resource is never missing
                outcomes.append((resource, "created" if before is None else "configured"))
        return outcomes

    def delete(self, keys: Iterable[ResourceKey]) -> list[tuple[ResourceKey, bool]]:
        """Remove the resources; False for one that is not there. Raises UserError."""
        outcomes = []
        with self._locked():
            located = self._located()
            for key in keys:
                found = located.pop(key, None)
                if found is not None:
                    _put(found[1], self._without(found[1], key))
                outcomes.append((key, found is not None))
        return outcomes

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """One writer at a time; a hand with an editor does not ask."""
        self._path.mkdir(parents=True, exist_ok=True)
        folder = os.open(self._path, os.O_RDONLY)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            yield
        finally:
            os.close(folder)

    def _located(self) -> dict[ResourceKey, tuple[Resource, Path]]:
        found: dict[ResourceKey, tuple[Resource, Path]] = {}
        for file in sorted(self._path.rglob("*.y*ml")):
            if file.name.startswith(".") or file.suffix not in (".yaml", ".yml"):
                continue
            for resource in self._parse(file).resources:
                found.setdefault(resource.key, (resource, file))
        return found

    def _parse(self, file: Path) -> Parsed:
        """What a file holds; nothing when it was removed in the meantime, problems where it is no text."""
        return parse(_read(file, "replace"), file=str(file.relative_to(self._path)))

    def _path_of(self, key: ResourceKey) -> Path:
        folder = key.namespace if KINDS[key.kind].namespaced else CLUSTER
        return self._path / folder / f"{key.kind}-{key.name}.yaml"

    def _without(self, file: Path, key: ResourceKey) -> str:
        """What else is in a file, which a person may have written. Raises UserError when not all of it can be read."""
        text = _read(file, "surrogateescape")
        parsed = parse(text)
        if parsed.errors:
            if file == self._path_of(key) and all(item.key == key for item in parsed.resources):
                return ""  # its own file, which went bad
            raise UserError(f"{key} is in {file}, beside documents that cannot be read; take it out by hand.")
        while (found := next((item for item in parsed.resources if item.key == key), None)) is not None:
            text = without(text, found, [item for item in parsed.resources if item.key != key])
            parsed = parse(text)
        return text


def _read(file: Path, errors: str) -> str:
    """The text of a file with its line ends as they are; empty when there is no file."""
    try:
        return file.read_bytes().decode("utf-8", errors)
    except FileNotFoundError:
        return ""


def _put(file: Path, text: str, *, private: bool = False) -> None:
    """Write it, for its owner alone if it is private; a file that is there already is not opened to more people."""
    if text:
        mode = file.stat().st_mode & 0o777 if file.exists() else 0o644
        write_atomic(file, text.encode("utf-8", "surrogateescape"), 0o600 if private else mode)
    else:
        file.unlink(missing_ok=True)
