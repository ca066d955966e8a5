"""The folder of Services, Pods and EndpointSlices: written by what knows the platform, read by Pilot and Mixer."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from mizzen.runtime.files import write_atomic


class RegistryFolder:
    """Keeps the folder equal to the objects it was last given; untouched objects are not written again."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._written: dict[str, str] = {}

    def clear(self) -> None:
        """Remove what an earlier mesh left."""
        for file in self._path.rglob("*.yaml"):
            file.unlink(missing_ok=True)
        self._path.mkdir(parents=True, exist_ok=True)
        self._written.clear()

    def adopt(self) -> None:
        """Take what is there for what was last written, so that the next `publish` replaces it without a gap."""
        self._path.mkdir(parents=True, exist_ok=True)
        files = self._path.rglob("*.yaml")
        self._written = {str(file.relative_to(self._path)): file.read_text("utf-8", "replace") for file in files}

    def publish(self, objects: Iterable[dict[str, Any]]) -> None:
        """Write new and changed objects, then remove those that are gone."""
        texts = {_file_name(item): yaml.safe_dump(item, sort_keys=False) for item in objects}
        for name, text in texts.items():
            if self._written.get(name) != text:
                write_atomic(self._path / name, text)
        for name in self._written.keys() - texts.keys():
            (self._path / name).unlink(missing_ok=True)
        self._written = texts


def _file_name(item: dict[str, Any]) -> str:
    metadata = item["metadata"]
    return f"{metadata['namespace']}/{item['kind']}-{metadata['name']}.yaml"
