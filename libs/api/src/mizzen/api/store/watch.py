"""The files of a folder, watched."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Set
from pathlib import Path

from watchfiles import Change, awatch

from mizzen.api.resource import ResourceKey
from mizzen.api.store.contents import Contents, OnChange, changed_keys
from mizzen.api.store.folder import FileState, Folder, Unreadable

log = logging.getLogger(__name__)

SUFFIXES = frozenset({".yaml", ".yml"})
DEBOUNCE_MS = 20
RESCAN_MS = 2_000
"""Also without an event, for what the kernel's queue lost and for folders that were replaced."""
MAX_BYTES = 4 * 1024 * 1024

Signature = tuple[int, int, int]
"""Inode, size and time of change: differs when a file was written or replaced."""


class FolderStore:
    """Resources of the YAML files below a folder; files and folders that begin with a dot are left out.

    Contents change as a whole; a folder that is gone keeps its last contents.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._folder = Folder()
        self._signatures: dict[Path, Signature] = {}
        self._contents = Contents()
        self._missing = False

    @property
    def contents(self) -> Contents:
        """As of the last change."""
        return self._contents

    async def load(self) -> None:
        """Read all files, creating the folder if there is none."""
        await asyncio.to_thread(self.root.mkdir, parents=True, exist_ok=True)
        await self._refresh(frozenset())

    async def watch(self, on_change: OnChange) -> None:
        """Follow changes until cancelled."""
        while True:
            try:
                await self._follow(on_change)
            except OSError as error:
                log.warning("Cannot watch %s: %s; looking again in %d ms", self.root, error, RESCAN_MS)
            await asyncio.sleep(RESCAN_MS / 1000)
            self._report(await self._refresh(frozenset()), on_change)

    async def _follow(self, on_change: OnChange) -> None:
        watched = self.root.stat().st_ino
        events = awatch(
            self.root, watch_filter=None, debounce=DEBOUNCE_MS, step=5, rust_timeout=RESCAN_MS, yield_on_timeout=True
        )
        first = asyncio.ensure_future(anext(events))
        try:
            # The watch begins with the first step of `events`. What was written before that gives no event, so read
            # everything once more now.
            await asyncio.sleep(0)
            self._report(await self._refresh(frozenset()), on_change)
            self._report(await self._refresh(_paths(await first)), on_change)
        finally:
            first.cancel()
        async for changes in events:
            self._report(await self._refresh(_paths(changes)), on_change)
            if self.root.stat().st_ino != watched:
                return  # another folder in its place: watch that one

    def _report(self, keys: frozenset[ResourceKey], on_change: OnChange) -> None:
        if keys:
            log.info("%s: %d resources changed", self.root, len(keys))
            on_change(keys)

    async def _refresh(self, suspects: Set[Path]) -> frozenset[ResourceKey]:
        """Read what changed; `suspects` are read even if they look unchanged."""
        before = self._contents
        changes = await asyncio.to_thread(self._changes, suspects)
        if changes:
            self._contents = await asyncio.to_thread(self._folder.apply, changes)
            for problem in self._contents.problems:
                if problem not in before.problems:
                    log.warning("%s", problem)
        return changed_keys(before, self._contents) if changes else frozenset()

    def _changes(self, suspects: Set[Path]) -> dict[str, FileState]:
        if not self.root.is_dir():
            if not self._missing:
                log.warning("%s is gone; its last contents stay in use", self.root)
            self._missing = True
            return {}
        self._missing = False
        found = {path: signature for path in self._candidates() if (signature := _signature(path))}
        stale = [path for path in found if path in suspects or found[path] != self._signatures.get(path)]
        gone = [path for path in self._signatures if path not in found]
        self._signatures = found
        return {str(path): None for path in gone} | {str(path): _read(path) for path in stale}

    def _candidates(self) -> list[Path]:
        return [
            path
            for path in self.root.rglob("*")
            if path.suffix in SUFFIXES and not any(part.startswith(".") for part in path.relative_to(self.root).parts)
        ]


def _paths(changes: Iterable[tuple[Change, str]]) -> Set[Path]:
    return {Path(path) for _, path in changes}


def _signature(path: Path) -> Signature | None:
    """None when there is no such file."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    except OSError:
        return (0, 0, 0)  # exists, and reading it will say what is wrong
    return (status.st_ino, status.st_size, status.st_mtime_ns)


def _read(path: Path) -> FileState:
    try:
        if path.stat().st_size > MAX_BYTES:
            return Unreadable(f"larger than {MAX_BYTES // 1024 // 1024} MiB")
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        return Unreadable(str(error))
