"""One supervisor a home: who it is, and whether it lives."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

TRIES = 5
PAUSE_SECONDS = 0.05
"""Somebody who only looks (`holder`) holds the lock for an instant."""


class AlreadyLockedError(Exception):
    """Another supervisor holds the lock."""


class Lock:
    """The supervisor's hold on its home; the kernel ends it with the process."""

    def __init__(self, path: Path) -> None:
        """Take the lock; raises AlreadyLockedError."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        if not any(_try_lock(self._file) for _ in range(TRIES)):
            os.close(self._file)
            raise AlreadyLockedError(str(path))
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        os.ftruncate(self._file, 0)
        os.close(self._file)


def _try_lock(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        time.sleep(PAUSE_SECONDS)
        return False
    return True


def holder(path: Path) -> int | None:
    """The pid of the living process that holds the lock, 0 while it has not written its pid; None when nobody does."""
    try:
        with path.open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except OSError:
                text = file.read(32).strip()
                return int(text) if text.isdigit() else 0
            return None
    except FileNotFoundError:
        return None
