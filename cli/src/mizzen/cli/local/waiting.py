"""From a started supervisor to a mesh that serves, telling what it waits for."""

from __future__ import annotations

import http.client
import subprocess
import time
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from rich.console import Console
from rich.status import Status

from mizzen.cli import fetch
from mizzen.cli.errors import UserError
from mizzen.cli.local.home import Home
from mizzen.cli.local.locking import holder
from mizzen.cli.local.state import MeshState, ProcessState, read_state
from mizzen.cli.local.urls import entry_urls
from mizzen.cli.output import warn
from mizzen.cli.store import ConfigStore

READY_SECONDS = 60.0
SERVE_SECONDS = 15.0
POLL_SECONDS = 0.05
TELL_SECONDS = 5.0
"""How often a person without a terminal is told what is waited for."""
LOG_LINES = 8
FAILURES = 3
"""A process that ended so often before it was ready is worth a line."""


def wait_until_up(home: Home, supervisor: subprocess.Popen[bytes]) -> None:
    """Until the mesh serves; raises UserError saying what does not work."""
    console = Console(stderr=True, highlight=False)
    with console.status("Starting Pilot") as status:
        _wait_ready(home, supervisor, status, tells=not console.is_terminal)
        status.update("Waiting for the first page")
        for url in entry_urls(ConfigStore(home.config).read().values())[:1]:
            wait_serving(url)


def _wait_ready(home: Home, supervisor: subprocess.Popen[bytes], status: Status, *, tells: bool) -> None:
    began = told = time.monotonic()
    progress = Progress(0, 0, ())
    failures = Failures()
    while (now := time.monotonic()) < began + READY_SECONDS:
        if supervisor.poll() is not None:
            raise UserError(f"The supervisor ended with status {supervisor.returncode}.\n{_tail(home, 'supervisor')}")
        state = read_state(home.state)
        if state is not None and state.supervisor.pid == supervisor.pid and holder(home.lock) == supervisor.pid:
            progress = Progress.of(state)
            if progress.done:
                return
            status.update(str(progress))
            for process in failures.news(state):
                warn(_failure(home, process))
            if failures.hopeless(state):
                raise UserError(_not_ready("These end again and again", home, progress.waiting))
        if tells and now > told + TELL_SECONDS:
            told = now
            warn(str(progress))
        time.sleep(POLL_SECONDS)
    raise UserError(_not_ready(f"After {READY_SECONDS:.0f} s these are not ready", home, progress.waiting))


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a start has come."""

    running: int
    total: int
    waiting: tuple[str, ...]

    @classmethod
    def of(cls, state: MeshState) -> Progress:
        waiting = tuple(process.name for process in state.processes if process.state != "running")
        return cls(len(state.processes) - len(waiting), len(state.processes), waiting)

    @property
    def done(self) -> bool:
        return self.total > 0 and not self.waiting

    def __str__(self) -> str:
        if not self.total:
            return "waiting for the supervisor"
        more = f" and {len(self.waiting) - 3} more" if len(self.waiting) > 3 else ""
        return f"{self.running} of {self.total} processes ready; waiting for {', '.join(self.waiting[:3])}{more}"


@dataclass(slots=True)
class Failures:
    """Which processes end again and again, from states as they follow each other."""

    _told: set[str] = field(default_factory=set)
    _alone: dict[str, int] = field(default_factory=dict)
    """The restarts of those that fail, from when nothing else was waited for."""

    def news(self, state: MeshState) -> list[ProcessState]:
        """Those that have come to fail and were not told yet."""
        found = [process for process in state.processes if _fails(process) and process.name not in self._told]
        self._told.update(process.name for process in found)
        return found

    def hopeless(self, state: MeshState) -> bool:
        """Whether each process that is not ready failed once more after all others had become ready.

        Before that it may only have missed one of them: an application often ends when it does not find another.
        """
        waiting = [process for process in state.processes if process.state != "running"]
        if not waiting or not all(map(_fails, waiting)):
            self._alone.clear()
            return False
        for process in waiting:
            self._alone.setdefault(process.name, process.restarts)
        return all(process.restarts > self._alone[process.name] and not process.pid for process in waiting)


def _fails(process: ProcessState) -> bool:
    return process.state != "running" and _ends(process) >= FAILURES


def _ends(process: ProcessState) -> int:
    """How often it ended; it counts as restarted only when it is started again."""
    return process.restarts + (not process.pid and bool(process.reason))


def _failure(home: Home, process: ProcessState) -> str:
    last = "".join(f": {line}" for line in _log_lines(home, process.name)[-1:])
    return f"{process.name} {process.reason}, {_ends(process)} times so far{last}"


def _not_ready(title: str, home: Home, waiting: tuple[str, ...]) -> str:
    names = waiting or ("supervisor",)
    return "\n".join((f"{title}: {', '.join(names)}.", *(_tail(home, name) for name in names[:3])))


def wait_serving(url: str) -> None:
    """Until the address answers with success; raises UserError with the last answer."""
    parts = urlsplit(url)
    deadline = time.monotonic() + SERVE_SECONDS
    last = "no answer"
    while time.monotonic() < deadline:
        try:
            code, _ = fetch.get(parts.hostname or "", parts.port or 80, parts.path)
            if code < 400:
                return
            last = f"status {code}"
        except (OSError, http.client.HTTPException) as error:
            last = str(error)
        time.sleep(POLL_SECONDS)
    raise UserError(f"All processes run, but after {SERVE_SECONDS:.0f} s {url} gives: {last}.")


def _tail(home: Home, process: str) -> str:
    return "\n".join((f"{home.log(process)}:", *(f"  {line}" for line in _log_lines(home, process)[-LOG_LINES:])))


def _log_lines(home: Home, process: str) -> list[str]:
    try:
        return home.log(process).read_text(errors="replace").splitlines()
    except FileNotFoundError:
        return []
