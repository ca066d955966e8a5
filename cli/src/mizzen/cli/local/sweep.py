"""Find and end what belongs to a mesh, by the mark in its environment."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

from mizzen.cli.local.environment import MARK
from mizzen.cli.local.home import Home

PROC = Path("/proc")
POLL_SECONDS = 0.05


def home_of(pid: int) -> str:
    """The home of the mesh that a process belongs to; empty for a stranger. Raises OSError."""
    mark = f"{MARK}=".encode()
    variables = (PROC / str(pid) / "environ").read_bytes().split(b"\0")
    return next((os.fsdecode(variable.removeprefix(mark)) for variable in variables if variable.startswith(mark)), "")


def marked_processes(home: Home) -> list[int]:
    """The pids of all live processes of the mesh, except the calling one; zombies do not count."""
    found = []
    for entry in PROC.iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            if home_of(int(entry.name)) == str(home.path):
                found.append(int(entry.name))
        except OSError:
            continue  # it ended meanwhile, or belongs to another user, who cannot be part of this mesh
    return found


def end_processes(home: Home, grace: float) -> int:
    """SIGTERM all processes of the mesh, SIGKILL those left after `grace` seconds; how many there were.

    A pid is signalled only right after its environment was read, so one that was given to a stranger is left alone.
    """
    first = _signal(home, signal.SIGTERM)
    if first and not _gone(home, grace):
        _signal(home, signal.SIGKILL)
        _gone(home, grace)
    return first


def _signal(home: Home, number: signal.Signals) -> int:
    pids = marked_processes(home)
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)
    return len(pids)


def _gone(home: Home, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while marked_processes(home):
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True
