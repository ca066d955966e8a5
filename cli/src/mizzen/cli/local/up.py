"""From nothing to a mesh that serves, with somebody watching."""

from __future__ import annotations

import shlex
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Literal

from mizzen.api.dump import to_dict
from mizzen.cli.checked import checked_inputs
from mizzen.cli.errors import UserError
from mizzen.cli.local.control import start_supervisor, stop_mesh
from mizzen.cli.local.demo import demo_files
from mizzen.cli.local.home import Home
from mizzen.cli.local.layout import fixed_addresses
from mizzen.cli.local.logfiles import begin_logs
from mizzen.cli.local.mixer import EMBEDDED_CONFIG, MIXER_CONFIG, embeds_mixer, telemetry_file, wants_mixer
from mizzen.cli.local.planned import workload_addresses
from mizzen.cli.local.ports import Taken, taken
from mizzen.cli.local.state import read_state
from mizzen.cli.local.urls import entry_urls
from mizzen.cli.local.waiting import wait_until_up
from mizzen.cli.output import say
from mizzen.cli.store import ConfigStore
from mizzen.runtime.files import write_atomic

MESH_CONFIG = """\
# Settings of the whole mesh, as in Istio's MeshConfig. Changes are live.
accessLogFile: /dev/stdout
"""
CONFLICT_LINES = 6


def bring_up(home: Home, engine: str, files: Sequence[str], *, mixer: bool | Literal["embedded"] | None = None) -> None:
    """Start the mesh and wait; a failure or Ctrl-C stops what was started. Raises UserError."""
    mixer_config = _mixer_config(home, engine, mixer)
    stop_mesh(home)  # what a killed supervisor may have left
    store = ConfigStore(home.config)
    known = store.read()
    added = checked_inputs(files or demo_files()) if files or not known else ()
    before = read_state(home.state)
    planned = (known | {resource.key: resource for resource in added}).values()
    _refuse(taken((*fixed_addresses(), *workload_addresses(planned, before.numbers if before else {}))))
    store.write(added)
    _tell_kept(home, store, files)
    home.config.mkdir(parents=True, exist_ok=True)
    begin_logs(home.logs)
    if not home.mesh_config.exists():
        if mixer_config:
            known = store.read()
            store.write(item for item in checked_inputs([str(telemetry_file())]) if item.key not in known)
        write_atomic(home.mesh_config, MESH_CONFIG + mixer_config)
    began = time.monotonic()
    with _sigterm_as_interrupt():
        supervisor = start_supervisor(home, engine)
        try:
            wait_until_up(home, supervisor)
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


def _tell_kept(home: Home, store: ConfigStore, files: Sequence[str]) -> None:
    """Say it when more, or other, configuration is in force than a new mesh would have."""
    try:
        application = files or demo_files()
    except UserError:
        application = ()  # the demo is not installed, so none of this is of it
    expected = {item.key: to_dict(item) for item in checked_inputs((*application, str(telemetry_file())))}
    kept = sum(to_dict(item) != expected.get(key) for key, item in store.read().items())
    if kept:
        what = "1 resource is" if kept == 1 else f"{kept} resources are"
        say(f"{what} kept from last time (rm -r {shlex.quote(str(home.path))} forgets the mesh).")


def _mixer_config(home: Home, engine: str, asked: bool | Literal["embedded"] | None) -> str:
    """Mixer's part of a new mesh config: there is one unless it is not wanted.

    Raises UserError where an old one says otherwise than the flag.
    """
    named, embedded = wants_mixer(home), embeds_mixer(home)
    if engine != "python" and (embedded or asked == "embedded"):
        raise UserError(f"Only the engine python has a Mixer embedded, not {engine}.")
    if not home.mesh_config.exists():
        return {"embedded": EMBEDDED_CONFIG, False: ""}.get(asked, MIXER_CONFIG)
    if asked == "embedded" and not embedded:
        raise UserError(f"{home.mesh_config} says otherwise; let it name Mixer with these lines:\n{EMBEDDED_CONFIG}")
    if asked is False and named:
        raise UserError(f"{home.mesh_config} names Mixer; take mixerCheckServer and mixerReportServer out of it first.")
    if asked is True and not named:
        raise UserError(f"{home.mesh_config} does not name Mixer; add these lines:\n{MIXER_CONFIG}")
    return ""


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
