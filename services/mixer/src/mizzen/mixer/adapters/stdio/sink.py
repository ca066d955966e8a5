"""Where lines go. Writing may block, so a sink is used from a thread."""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import BinaryIO, Protocol

MEGABYTE = 2**20


class Sink(Protocol):
    """Takes lines."""

    def write(self, data: bytes) -> None:
        """Raises OSError."""

    def close(self) -> None: ...


class Stream:
    """Standard output or error, shared with the rest of the process."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def write(self, data: bytes) -> None:
        """Write all of it."""
        # Not through sys.stdout's buffer: what others wrote there comes first.
        (sys.stdout if self._descriptor == 1 else sys.stderr).flush()
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self._descriptor, rest) :]

    def close(self) -> None:
        """The stream is not ours to close."""


class File:
    """A file that grows."""

    def __init__(self, path: Path) -> None:
        self._file: BinaryIO = path.open("ab")

    def write(self, data: bytes) -> None:
        """Append and flush."""
        self._file.write(data)
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class RotatedFile:
    """A file that is put aside when it is large, under a name with the time: `access-2018-07-31T12-00-00.000000.log`.

    Files put aside go when they are older than `max_age`, or more than `max_files`. 0 means no limit.
    """

    def __init__(self, path: Path, max_bytes: int, max_age: timedelta, max_files: int) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._max_age = max_age
        self._max_files = max_files
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file: BinaryIO = path.open("ab")

    def write(self, data: bytes) -> None:
        """Append and flush; rotate first when the file would become too large."""
        if self._max_bytes and self._file.tell() and self._file.tell() + len(data) > self._max_bytes:
            self._rotate(datetime.now(UTC))
        self._file.write(data)
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _rotate(self, now: datetime) -> None:
        self._file.close()
        stamp = now.strftime("%Y-%m-%dT%H-%M-%S.%f")
        self._path.rename(self._path.with_name(f"{self._path.stem}-{stamp}{self._path.suffix}"))
        self._file = self._path.open("ab")
        self._prune(now)

    def _prune(self, now: datetime) -> None:
        """The time in the names puts them in order."""
        aside = sorted(self._path.parent.glob(f"{_escaped(self._path.stem)}-????-??-??T*{_escaped(self._path.suffix)}"))
        old = aside[: -self._max_files] if self._max_files else []
        if self._max_age:
            oldest = (now - self._max_age).timestamp()
            old += [path for path in aside if path not in old and path.stat().st_mtime < oldest]
        for path in old:
            path.unlink(missing_ok=True)


def _escaped(text: str) -> str:
    """For glob."""
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in text)
