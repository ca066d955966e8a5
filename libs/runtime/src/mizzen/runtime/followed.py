"""Things that are made of files, and made anew when those change.

Of what cannot be read (any more) the last good version stays.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from errno import EINVAL
from pathlib import Path
from stat import S_ISREG
from typing import Final, Generic, TypeAlias, TypeVar

log = logging.getLogger(__name__)

LOOK_SECONDS: Final = 1.0
"""How often the files are looked at."""

T = TypeVar("T")
_Stamp: TypeAlias = tuple[tuple[int, int, int] | None, ...]
"""Of each file of a thing: what changes when it does; None for one that is not there."""


class FollowedFiles(Generic[T]):
    """Things by their names. `watch` for ever."""

    def __init__(
        self,
        paths: Callable[[str], tuple[Path, ...]],
        read: Callable[[str], T],
        changed: Callable[[tuple[T, ...]], Awaitable[None]],
    ) -> None:
        """`read` makes a thing of its files, and raises ValueError, which says what is wrong with which.

        `changed` hears of new versions that `watch` finds, not of what `want` reads at once. Where it raises
        RuntimeError it is told again.
        """
        self.current: dict[str, T] = {}
        """The last good ones, by name."""
        self.errors: dict[str, str] = {}
        """Why the newest version of one is not used."""
        self._paths = paths
        self._read = read
        self._changed = changed
        self._stamps: dict[str, _Stamp] = {}
        self._untold: dict[str, T] = {}

    def want(self, names: Iterable[str]) -> tuple[T, ...]:
        """Follow these and no others; those among them that are new here and good."""
        names = set(names)
        for gone in self._stamps.keys() - names:
            del self._stamps[gone]
            self.current.pop(gone, None)
            self.errors.pop(gone, None)
            self._untold.pop(gone, None)
        return tuple(self._look(sorted(names - self._stamps.keys())).values())

    async def watch(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            self._untold |= self._look(sorted(self._stamps))
            if self._untold:
                try:
                    await self._changed(tuple(self._untold.values()))
                except RuntimeError as error:
                    log.error("What files say now is not used yet: %s", error)
                else:
                    self._untold.clear()

    def _look(self, names: Iterable[str]) -> dict[str, T]:
        """New versions of these."""
        fresh = {}
        for name in names:
            stamp = tuple(map(_stamp, self._paths(name)))
            if self._stamps.get(name) == stamp:
                continue
            self._stamps[name] = stamp
            try:
                found = self._read(name)
            except ValueError as error:
                self._complain(name, str(error))
                continue
            self.errors.pop(name, None)
            if name not in self.current or found != self.current[name]:
                fresh[name] = self.current[name] = found
        return fresh

    def _complain(self, name: str, reason: str) -> None:
        if self.errors.get(name) != reason:
            kept = "the version before it stays in use" if name in self.current else "there is none to use"
            log.error("%s %s; %s", name, reason, kept)
        self.errors[name] = reason


def read_text(path: Path, most: int) -> str:
    """The file's first characters, as many as `most` bytes and one have. Raises ValueError, which names the file.

    A device or a pipe is none: who reads one may wait for ever.
    """
    try:
        if not S_ISREG(path.stat().st_mode):
            raise OSError(EINVAL, "Not a regular file")
        with path.open("rb") as file:
            return file.read(most + 1).decode("utf-8")
    except OSError as error:
        raise ValueError(f"cannot be read: {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ValueError(f"cannot be read: {path} is not text") from None


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except (OSError, ValueError):  # ValueError: a name that no file can have
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns
