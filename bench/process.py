"""Processes under measurement: pinned to a core, logged to a file, ended with all their children."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from bench.cores import pinned

STOP_SECONDS = 10.0
TICK = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")


class Process:
    """A started program and everything it starts."""

    def __init__(
        self, name: str, command: Sequence[str], core: set[int], folder: Path, env: Mapping[str, str] | None = None
    ) -> None:
        self.name = name
        self.log = folder / f"{name}.log"
        with self.log.open("ab") as log, pinned(core):
            self.popen = subprocess.Popen(
                command,
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                cwd=folder,
                env=os.environ | (env or {}),
                start_new_session=True,
            )

    def check(self) -> None:
        """Raise with the end of its log when it is no longer running."""
        status = self.popen.poll()
        if status is not None:
            raise RuntimeError(f"{self.name} ended with {status}:\n{self.tail()}")

    def tail(self, lines: int = 20) -> str:
        """The last lines of its log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def pids(self) -> list[int]:
        """The process and all its descendants."""
        found, queue = [], [self.popen.pid]
        while queue:
            pid = queue.pop()
            found.append(pid)
            queue += _children(pid)
        return found

    def stop(self) -> None:
        """SIGTERM, and SIGKILL to what is left of its session after 10 s."""
        pids = self.pids() if self.popen.poll() is None else []
        if pids:
            self.popen.terminate()
        try:
            self.popen.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            self.popen.wait(STOP_SECONDS)
        for pid in pids[1:]:
            try:
                if os.getsid(pid) == self.popen.pid:  # not a stranger that got the number since
                    os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue


def cpu_seconds(pids: Sequence[int]) -> float:
    """User and system time that living processes have used (/proc/PID/stat, fields 14 and 15)."""
    return sum(sum(map(int, _stat(pid)[11:13])) for pid in pids) / TICK


def rss_mb(pids: Sequence[int]) -> float:
    """Resident memory in 10⁶ bytes; pages that two of the processes share count twice."""
    return sum(int(_stat(pid)[21]) for pid in pids) * PAGE / 1e6


def wait_until(ready: Callable[[], bool], process: Process, what: str, seconds: float = 20.0) -> None:
    """Call `ready` until it is true; raise when the process ends first or time is up."""
    deadline = time.monotonic() + seconds
    while not ready():
        process.check()
        if time.monotonic() > deadline:
            raise RuntimeError(f"{process.name}: {what} did not happen within {seconds:g} s\n{process.tail()}")
        time.sleep(0.05)


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat after the program's name, which may hold blanks."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _children(pid: int) -> list[int]:
    children: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        children += map(int, task.read_text().split())
    return children
