"""Start and end the supervisor of a mesh, from outside."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress

from mizzen.cli.local.environment import mesh_environment
from mizzen.cli.local.home import Home
from mizzen.cli.local.locking import holder
from mizzen.cli.local.state import read_state
from mizzen.cli.local.sweep import end_processes, marked_processes

STOP_SECONDS = 30.0
SWEEP_SECONDS = 3.0
POLL_SECONDS = 0.05


def start_supervisor(home: Home, engine: str) -> subprocess.Popen[bytes]:
    """Start it detached: in a session of its own, so that neither Ctrl-C nor the end of the terminal reaches it."""
    home.logs.mkdir(parents=True, exist_ok=True)
    command = (sys.executable, "-m", "mizzen.cli.local.supervisor", "--home", str(home.path), "--engine", engine)
    with home.log("supervisor").open("ab") as output:
        return subprocess.Popen(  # noqa: S603 - our own interpreter and module
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=mesh_environment(home),
            start_new_session=True,
        )


def stop_mesh(home: Home) -> int:
    """End every process of the mesh, with or without a living supervisor.

    A supervisor that lives is asked first, because it stops the parts in the right order. Returns how many processes
    there were as `mizzen status` counts them, without the supervisor and workers; if there were only such, how many.
    """
    marked = set(marked_processes(home))
    state = read_state(home.state)
    count = sum(process.pid in marked for process in state.processes) if state is not None else 0
    pid = holder(home.lock)
    if pid:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS
        while holder(home.lock) == pid and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
    end_processes(home, SWEEP_SECONDS)
    for file in home.registry.rglob("*.yaml"):
        file.unlink(missing_ok=True)
    return count or len(marked)
