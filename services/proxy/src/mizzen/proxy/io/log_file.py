"""An append-only file that holds up no traffic, whatever is behind its path."""

from __future__ import annotations

import logging
import os
import select
import threading
from collections import deque
from pathlib import Path

log = logging.getLogger(__name__)

MAX_WAITING = 8 * 1024 * 1024
"""Bytes that may wait for a slow file; more entries are dropped and counted."""
CLOSE_SECONDS = 1.0
"""How long the end of a worker waits for a slow file."""


class LogFile:
    """Written by a thread of its own, as in Envoy: a pipe that nobody empties and a slow disk block only that."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.lost = 0
        """Lines that never reached the file."""
        self._waiting: deque[bytes] = deque()
        self._size = 0
        self._changed = threading.Condition()
        self._closing = False
        self._thread: threading.Thread | None = None
        self._complained = False

    def write(self, text: bytes) -> None:
        """Append whole lines, soon; never waits."""
        with self._changed:
            if self._size + len(text) > MAX_WAITING:
                self.lost += text.count(b"\n")
                return
            self._waiting.append(text)
            self._size += len(text)
            self._changed.notify()
        if self._thread is None:
            # A daemon: blocked in a system call, it must not keep the process from ending.
            self._thread = threading.Thread(target=self._run, name=f"log {self.path}", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Write what waits, if that is possible within CLOSE_SECONDS, and close the file."""
        if self._thread is None:
            return
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join(CLOSE_SECONDS)
        if self._thread.is_alive():
            log.warning("access log %s takes nothing: %d bytes are lost", self.path, self._size)

    def _run(self) -> None:
        descriptor = -1
        try:
            while (text := self._next()) is not None:
                try:
                    if descriptor < 0:
                        descriptor = _open(self.path)
                    _write(descriptor, text)
                except OSError as error:
                    self._lose(text, error)
                with self._changed:
                    self._size -= len(text)
        finally:
            if descriptor >= 0:
                os.close(descriptor)

    def _next(self) -> bytes | None:
        """What is to be written next; None when there is nothing and never will be."""
        with self._changed:
            while not self._waiting and not self._closing:
                self._changed.wait()
            return self._waiting.popleft() if self._waiting else None

    def _lose(self, text: bytes, error: OSError) -> None:
        with self._changed:
            self.lost += text.count(b"\n")
        if not self._complained:
            self._complained = True
            log.error("access log %s cannot be written: %s", self.path, error)


def _open(path: str) -> int:
    if path in ("/dev/stdout", "/dev/stderr"):
        return os.dup(1 if path == "/dev/stdout" else 2)
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)


def _write(descriptor: int, text: bytes) -> None:
    """All of it, with one system call if the kernel takes it."""
    rest = memoryview(text)
    while rest:
        try:
            rest = rest[os.write(descriptor, rest) :]
        except BlockingIOError:  # somebody made the shared stdout non-blocking
            writable = select.poll()
            writable.register(descriptor, select.POLLOUT)
            writable.poll()
