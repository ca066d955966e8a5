"""Follows the authority in a folder of this machine."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from mizzen.pilot.ca.folder import load, load_or_create
from mizzen.pilot.ca.layout import NAMES, Stored
from mizzen.runtime.errors import StartError

log = logging.getLogger(__name__)

LOOK_SECONDS: Final = 1.0


class FolderAuthority:
    """Implements `app.authority.Source`. Files that do not fit together yet are looked at again when they change."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._stamp: object = None

    async def load(self, trust_domain: str) -> Stored:
        """As it is, or made where there is none; raises StartError."""
        found = load_or_create(self._folder, trust_domain, datetime.now(UTC))
        self._stamp = self._stamps()
        return found

    async def follow(self, changed: Callable[[Stored], None]) -> None:
        """Tell of what is new there, until cancelled. The last good one stays where the files are wrong."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            stamp = self._stamps()
            if stamp == self._stamp:
                continue
            self._stamp = stamp
            try:
                changed(load(self._folder, datetime.now(UTC)))
            except (StartError, OSError) as error:
                log.warning("%s; the last good authority stays in use", error)

    def _stamps(self) -> object:
        return tuple(_stamp(self._folder / name) for name in NAMES)


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns
