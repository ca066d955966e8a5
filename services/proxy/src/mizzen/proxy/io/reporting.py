"""Access logs: the hot path appends records, a timer formats and writes them in batches."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Iterable
from pathlib import Path

from mizzen.proxy.engine.accesslog import Entry, bind_log
from mizzen.proxy.engine.plan import AccessLogPlan
from mizzen.proxy.engine.request import Record

log = logging.getLogger(__name__)

INTERVAL = 0.1
"""Seconds between batches."""
BATCH = 100
"""Entries formatted at once; traffic passes between batches."""
LIMIT = 50_000
"""Records that may wait; more are dropped and counted."""


class AccessLog:
    """One log file with one format."""

    __slots__ = ("_entry", "_records", "dropped", "file", "plan")

    def __init__(self, plan: AccessLogPlan, file: LogFile, hostname: str) -> None:
        self.plan = plan
        self.file = file
        self._entry: Entry = bind_log(plan, hostname)
        self._records: list[Record] = []
        self.dropped = 0

    def append(self, record: Record) -> None:
        """Keep a finished exchange until the next batch."""
        if len(self._records) < LIMIT:
            self._records.append(record)
        else:
            self.dropped += 1

    def drain(self) -> bytes:
        """The next batch as text, empty when nothing waits."""
        records = self._records
        entry = self._entry
        text = b"".join([entry(record) for record in records[:BATCH]])
        del records[:BATCH]
        return text


class LogFile:
    """An append-only file, opened when first written to."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._descriptor = -1
        self._complained = False

    def write(self, text: bytes) -> bool:
        """Append whole lines with one system call if the kernel takes them; False when they are lost."""
        try:
            if self._descriptor < 0:
                self._descriptor = self._open()
            rest = memoryview(text)
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        except OSError as error:
            if not self._complained:
                self._complained = True
                log.error("access log %s cannot be written: %s", self.path, error)
            return False
        return True

    def _open(self) -> int:
        if self.path in ("/dev/stdout", "/dev/stderr"):
            return os.dup(1 if self.path == "/dev/stdout" else 2)
        Path(self.path).parent.mkdir(parents=True, exist_ok=True)
        return os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


class AccessLogs:
    """All access logs of the worker, by plan; they outlive the listeners that use them."""

    def __init__(self, loop: asyncio.AbstractEventLoop, hostname: str) -> None:
        self._loop = loop
        self._hostname = hostname
        self._logs: dict[AccessLogPlan, AccessLog] = {}
        self._files: dict[str, LogFile] = {}
        self._timer: asyncio.TimerHandle | None = None
        self.lost = 0

    def bind(self, plans: Iterable[AccessLogPlan]) -> tuple[AccessLog, ...]:
        """The logs of some plans; ValueError names a format that cannot be read."""
        return tuple(self._log(plan) for plan in plans)

    def _log(self, plan: AccessLogPlan) -> AccessLog:
        known = self._logs.get(plan)
        if known is None:
            file = self._files.setdefault(plan.path, LogFile(plan.path))
            known = self._logs[plan] = AccessLog(plan, file, self._hostname)
            if self._timer is None:
                self._timer = self._loop.call_later(INTERVAL, self._tick)
        return known

    def _tick(self) -> None:
        more = self._write_batches()
        self._timer = self._loop.call_later(0.0 if more else INTERVAL, self._tick)

    def _write_batches(self) -> bool:
        """One batch of every log; True when there was something to write."""
        wrote = False
        for access_log in self._logs.values():
            text = access_log.drain()
            if text:
                wrote = True
                if not access_log.file.write(text):
                    self.lost += text.count(b"\n")
        return wrote

    def flush(self) -> None:
        """Format and write all that waits."""
        while self._write_batches():
            pass

    @property
    def dropped(self) -> int:
        """Records that never reached a file."""
        return self.lost + sum(access_log.dropped for access_log in self._logs.values())

    def close(self) -> None:
        """Write the rest and close the files."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.flush()
        for file in self._files.values():
            file.close()
