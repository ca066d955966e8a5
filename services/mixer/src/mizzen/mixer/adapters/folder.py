"""A folder of YAML that an adapter follows."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Generic, TypeVar

log = logging.getLogger(__name__)

POLL_SECONDS = 1.0
_SUFFIXES = (".yaml", ".yml")
_Version = tuple[int, int, int]
T = TypeVar("T")


class Folder(Generic[T]):
    """What is read from a folder's files. A file that cannot be read keeps what it had before.

    `parse` takes a file's text and its path, and raises ValueError; `on_change` gets everything, in order of paths.
    """

    def __init__(
        self, root: Path, parse: Callable[[str, Path], Sequence[T]], on_change: Callable[[Sequence[T]], None]
    ) -> None:
        self._root = root
        self._parse = parse
        self._on_change = on_change
        self._versions: dict[Path, _Version] = {}
        self._contents: dict[Path, Sequence[T]] = {}
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Read everything, and follow changes from now on."""
        contents = await asyncio.to_thread(self._read)
        self._on_change([] if contents is None else contents)
        self._task = asyncio.create_task(self._follow(), name=f"files of {self._root}")

    async def close(self) -> None:
        """Follow no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def refresh(self) -> None:
        """Read what has changed."""
        contents = await asyncio.to_thread(self._read)
        if contents is not None:
            self._on_change(contents)

    async def _follow(self) -> None:
        while True:
            await asyncio.sleep(POLL_SECONDS)
            await self.refresh()

    def _read(self) -> Sequence[T] | None:
        """Everything; None when nothing has changed."""
        versions = dict(_files(self._root))
        if versions == self._versions:
            return None
        for path in self._contents.keys() - versions.keys():
            del self._contents[path]
        for path, version in versions.items():
            if version == self._versions.get(path):
                continue
            try:
                self._contents[path] = self._parse(path.read_text(), path)
            except (OSError, ValueError) as error:
                log.error("%s is left as it was: %s", path, error)
        self._versions = versions
        return [item for path in sorted(self._contents) for item in self._contents[path]]


def _files(root: Path) -> Iterator[tuple[Path, _Version]]:
    paths: Iterable[Path] = root.rglob("*") if root.is_dir() else ()
    for path in paths:
        if path.suffix not in _SUFFIXES or path.name.startswith("."):
            continue
        try:
            status = path.stat()
        except OSError:
            continue  # gone since it was listed
        yield path, (status.st_mtime_ns, status.st_size, status.st_ino)
