"""From nothing to a mesh that serves, with somebody watching."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Literal

from mizzen.api.kubernetes import Deployment
from mizzen.api.resource import Resource, ResourceKey
from mizzen.cli import prepare
from mizzen.cli.checked import checked_inputs
from mizzen.cli.errors import UserError
from mizzen.cli.local.control import start_supervisor, stop_mesh
from mizzen.cli.local.demo import demo_files
from mizzen.cli.local.home import Home
from mizzen.cli.local.layout import MIXER, MIXER_TLS_PORT, PILOT, SECURE_PORT, fixed_addresses
from mizzen.cli.local.logfiles import begin_logs
from mizzen.cli.local.planned import workload_addresses
from mizzen.cli.local.ports import refuse, taken
from mizzen.cli.local.security import wants_security
from mizzen.cli.local.state import read_state
from mizzen.cli.local.urls import entry_urls
from mizzen.cli.local.waiting import wait_until_up
from mizzen.cli.output import command_name, say
from mizzen.cli.store import ConfigStore


def bring_up(home: Home, engine: str, files: Sequence[str], *, mixer: bool | Literal["embedded"] | None = None) -> None:
    """Start the mesh and wait; a failure or Ctrl-C stops what was started. Raises UserError."""
    mixer_config = prepare.mixer_config(home, engine, mixer)
    stop_mesh(home)  # what a killed supervisor may have left
    store = ConfigStore(home.config)
    known = store.read()
    added = checked_inputs(files) if files else _missing_demo(known)
    before = read_state(home.state)
    planned = (known | {resource.key: resource for resource in added}).values()
    secure = [(PILOT, SECURE_PORT), (MIXER, MIXER_TLS_PORT)] if wants_security(home) else []
    refuse(taken((*fixed_addresses(), *secure, *workload_addresses(planned, before.numbers if before else {}))))
    store.write(added)
    prepare.tell_kept(home, files or _demo_if_installed())
    begin_logs(home.logs)
    prepare.write_mesh_config(home, mixer_config)
    began = time.monotonic()
    with sigterm_as_interrupt():
        supervisor = start_supervisor(home, engine)
        try:
            wait_until_up(home, supervisor)
        except BaseException:
            stop_mesh(home)
            raise
    say(f"The mesh is up (engine {engine}, {time.monotonic() - began:.1f} s).")
    print_urls(home)


@contextmanager
def sigterm_as_interrupt() -> Iterator[None]:
    """Being told to end, by Ctrl-C or by SIGTERM, must not leave half a mesh behind."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _missing_demo(known: Mapping[ResourceKey, Resource]) -> list[Resource]:
    """What a mesh without any workload lacks of the demo: all when it is new, what runs after one of containers."""
    if any(isinstance(item.spec, Deployment) for item in known.values()):
        return []
    return [item for item in checked_inputs(demo_files()) if item.key not in known]


def _demo_if_installed() -> list[str]:
    try:
        return demo_files()
    except UserError:
        return []  # then none of what is there is of it


def print_urls(home: Home) -> None:
    for url in entry_urls(ConfigStore(home.config).read().values()):
        say(f"  {url}")
    mizzen = command_name()
    say(f"Look around with `{mizzen} status` and `{mizzen} proxy-status`; stop it with `{mizzen} down`.")
