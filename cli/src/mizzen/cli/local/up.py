"""From nothing to a mesh that serves, with somebody watching."""

from __future__ import annotations

import http.client
import shlex
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from urllib.parse import urlsplit

from rich.console import Console
from rich.status import Status

from mizzen.cli import fetch
from mizzen.cli.checked import checked_inputs
from mizzen.cli.errors import UserError
from mizzen.cli.local.control import start_supervisor, stop_mesh
from mizzen.cli.local.demo import demo_files
from mizzen.cli.local.home import Home
from mizzen.cli.local.layout import fixed_addresses
from mizzen.cli.local.locking import holder
from mizzen.cli.local.logfiles import begin_logs
from mizzen.cli.local.mixer import MIXER_CONFIG, telemetry_file, wants_mixer
from mizzen.cli.local.planned import workload_addresses
from mizzen.cli.local.ports import Taken, taken
from mizzen.cli.local.state import MeshState, read_state
from mizzen.cli.local.urls import entry_urls
from mizzen.cli.output import say
from mizzen.cli.store import ConfigStore
from mizzen.runtime.files import write_atomic

READY_SECONDS = 60.0
SERVE_SECONDS = 15.0
POLL_SECONDS = 0.05
LOG_LINES = 8

MESH_CONFIG = """\
# Settings of the whole mesh, as in Istio's MeshConfig. Changes are live.
accessLogFile: /dev/stdout
"""
CONFLICT_LINES = 6


def bring_up(home: Home, engine: str, files: Sequence[str], *, mixer: bool | None = None) -> None:
    """Start the mesh and wait; a failure or Ctrl-C stops what was started. Raises UserError."""
    with_mixer = _with_mixer(home, mixer)
    stop_mesh(home)  # what a killed supervisor may have left
    store = ConfigStore(home.config)
    known = store.read()
    added = checked_inputs(files or demo_files()) if files or not known else ()
    before = read_state(home.state)
    planned = (known | {resource.key: resource for resource in added}).values()
    _refuse(taken((*fixed_addresses(), *workload_addresses(planned, before.numbers if before else {}))))
    store.write(added)
    home.config.mkdir(parents=True, exist_ok=True)
    begin_logs(home.logs)
    if not home.mesh_config.exists():
        if with_mixer:
            known = store.read()
            store.write(item for item in checked_inputs([str(telemetry_file())]) if item.key not in known)
        write_atomic(home.mesh_config, MESH_CONFIG + (MIXER_CONFIG if with_mixer else ""))
    began = time.monotonic()
    with _sigterm_as_interrupt():
        supervisor = start_supervisor(home, engine)
        try:
            _wait(home, supervisor)
        except BaseException:
            stop_mesh(home)
            raise
    say(f"The mesh is up (engine {engine}, {time.monotonic() - began:.1f} s).")
    print_urls(home)


def _refuse(conflicts: Sequence[Taken]) -> None:
    """Raise UserError if there is a conflict, saying how to end a mesh that is in the way."""
    if not conflicts:
        return
    lines = [f"  {conflict}" for conflict in conflicts[:CONFLICT_LINES]]
    if len(conflicts) > CONFLICT_LINES:
        lines.append(f"  and {len(conflicts) - CONFLICT_LINES} more")
    meshes = sorted({item.owner.mesh for item in conflicts if item.owner is not None and item.owner.mesh})
    lines.extend(
        f"One mesh runs on a machine; stop that one with: MIZZEN_HOME={shlex.quote(mesh)} mizzen down"
        for mesh in meshes
    )
    raise UserError("\n".join(("The mesh cannot start, because addresses that it needs are in use:", *lines)))


def _with_mixer(home: Home, asked: bool | None) -> bool:
    """What the mesh config says; a mesh that has none gets Mixer unless it is not wanted."""
    if not home.mesh_config.exists():
        return asked is not False
    named = wants_mixer(home)
    if asked is False and named:
        raise UserError(f"{home.mesh_config} names Mixer; take mixerCheckServer and mixerReportServer out of it first.")
    if asked is True and not named:
        raise UserError(f"{home.mesh_config} does not name Mixer; add these lines:\n{MIXER_CONFIG}")
    return named


@contextmanager
def _sigterm_as_interrupt() -> Iterator[None]:
    """Being told to end, by Ctrl-C or by SIGTERM, must not leave half a mesh behind."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def print_urls(home: Home) -> None:
    for url in entry_urls(ConfigStore(home.config).read().values()):
        say(f"  {url}")
    say("Look around with `mizzen status` and `mizzen proxy-status`; stop it with `mizzen down`.")


def _wait(home: Home, supervisor: subprocess.Popen[bytes]) -> None:
    console = Console(stderr=True, highlight=False)
    with console.status("Starting Pilot") as status:
        _wait_ready(home, supervisor, status)
        status.update("Waiting for the first page")
        for url in entry_urls(ConfigStore(home.config).read().values())[:1]:
            _wait_serving(url)


def _wait_ready(home: Home, supervisor: subprocess.Popen[bytes], status: Status) -> None:
    deadline = time.monotonic() + READY_SECONDS
    progress = Progress(0, 0, ())
    while time.monotonic() < deadline:
        if supervisor.poll() is not None:
            raise UserError(f"The supervisor ended with status {supervisor.returncode}.\n{_tail(home, 'supervisor')}")
        state = read_state(home.state)
        if state is not None and state.supervisor.pid == supervisor.pid and holder(home.lock) == supervisor.pid:
            progress = Progress.of(state)
            if progress.done:
                return
            status.update(str(progress))
        time.sleep(POLL_SECONDS)
    names = progress.waiting or ("supervisor",)
    tails = "\n".join(_tail(home, name) for name in names[:3])
    raise UserError(f"After {READY_SECONDS:.0f} s these are not ready: {', '.join(names)}.\n{tails}")


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
        more = f" and {len(self.waiting) - 3} more" if len(self.waiting) > 3 else ""
        return f"{self.running} of {self.total} processes ready; waiting for {', '.join(self.waiting[:3])}{more}"


def _wait_serving(url: str) -> None:
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
    try:
        lines = home.log(process).read_text(errors="replace").splitlines()[-LOG_LINES:]
    except FileNotFoundError:
        lines = []
    return "\n".join((f"{home.log(process)}:", *(f"  {line}" for line in lines)))
