"""Access logs: the hot path appends records, a timer formats them in batches, threads write those."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable

from mizzen.proxy.engine.accesslog import Entry, bind_log
from mizzen.proxy.engine.plan import AccessLogPlan
from mizzen.proxy.engine.request import Record
from mizzen.proxy.io.log_file import LogFile

log = logging.getLogger(__name__)

INTERVAL = 0.1
"""Seconds between batches."""
BATCH = 100
"""Entries formatted at once; traffic passes between batches."""
LIMIT = 50_000
"""Records that may wait; more are dropped and counted."""


class AccessLog:
    """One log file with one format."""

    __slots__ = ("_entry", "_records", "_stumbled", "dropped", "file", "plan")

    def __init__(self, plan: AccessLogPlan, file: LogFile, hostname: str) -> None:
        self.plan = plan
        self.file = file
        self._entry: Entry = bind_log(plan, hostname)
        self._records: list[Record] = []
        self.dropped = 0
        self._stumbled = False

    def append(self, record: Record) -> None:
        """Keep a finished exchange until the next batch."""
        if len(self._records) < LIMIT:
            self._records.append(record)
        else:
            self.dropped += 1

    def drain(self) -> bytes:
        """The next batch as text, empty when nothing waits."""
        batch = self._records[:BATCH]
        del self._records[:BATCH]
        return b"".join([self._line(record) for record in batch])

    def waits(self) -> bool:
        """There are records for another batch."""
        return bool(self._records)

    def _line(self, record: Record) -> bytes:
        try:
            return self._entry(record)
        except Exception:
            if not self._stumbled:
                self._stumbled = True
                log.exception(
                    "an entry of access log %s cannot be made; others like it are only counted", self.plan.path
                )
            self.dropped += 1
            return b""


class AccessLogs:
    """All access logs of the worker, by plan; they outlive the listeners that use them."""

    def __init__(self, loop: asyncio.AbstractEventLoop, hostname: str) -> None:
        self._loop = loop
        self._hostname = hostname
        self._logs: dict[AccessLogPlan, AccessLog] = {}
        self._files: dict[str, LogFile] = {}
        self._timer: asyncio.TimerHandle | None = None

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
        """One batch of every log; True when more waits."""
        for access_log in self._logs.values():
            text = access_log.drain()
            if text:
                access_log.file.write(text)
        return any(access_log.waits() for access_log in self._logs.values())

    def flush(self) -> None:
        """Format and write all that waits."""
        while self._write_batches():
            pass

    @property
    def dropped(self) -> int:
        """Records that never reached a file."""
        lost = sum(file.lost for file in self._files.values())
        return lost + sum(access_log.dropped for access_log in self._logs.values())

    def close(self) -> None:
        """Write the rest and close the files."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.flush()
        for file in self._files.values():
            file.close()
