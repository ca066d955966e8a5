"""From nothing to a mesh of containers that serves, with somebody watching; and its end."""

from __future__ import annotations

import shlex
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Literal

import yaml
from rich.console import Console

from mizzen.cli import prepare
from mizzen.cli.checked import checked_inputs
from mizzen.cli.compose.command import compose_command
from mizzen.cli.compose.containers import Container, containers_of
from mizzen.cli.compose.docker import log_of, output_of, pull
from mizzen.cli.compose.identity import give_tokens
from mizzen.cli.compose.project import NAME, PROFILE, Project, compose_file, read_project
from mizzen.cli.errors import UserError
from mizzen.cli.local import layout
from mizzen.cli.local.demo import routing_files
from mizzen.cli.local.home import Home
from mizzen.cli.local.ports import refuse, taken
from mizzen.cli.local.up import print_urls, sigterm_as_interrupt
from mizzen.cli.local.urls import entry_urls
from mizzen.cli.local.waiting import wait_serving
from mizzen.cli.output import say
from mizzen.cli.store import ConfigStore

START_SECONDS = 240.0
READY_SECONDS = 60.0
STOP_SECONDS = 180.0
POLL_SECONDS = 0.5
LOG_LINES = 8
SHOWN = 3
PULL_SECONDS = 300.0
OWN_HUB = "mizzen/"
ADDRESSES = (
    (layout.GATEWAY, layout.GATEWAY_PORT),
    (layout.PILOT, layout.MONITORING_PORT),
    (layout.MIXER, layout.MIXER_PORT),
    (layout.MIXER, layout.MONITORING_PORT),
    (layout.MIXER, layout.TELEMETRY_PORT),
)
"""Where the mesh is reached from this machine, as on the local runtime."""


def bring_up(
    home: Home,
    engine: str,
    files: Sequence[str],
    *,
    mixer: bool | Literal["embedded"] | None = None,
    observability: bool = False,
) -> None:
    """Start the mesh and wait; a failure or Ctrl-C stops what was started. Raises UserError."""
    profiles = (PROFILE,) if observability else ()
    project = Project(compose_command(), compose_file(), engine, profiles=profiles)
    if mixer == "embedded":
        raise UserError("The compose file has Mixer as a service; --embedded-mixer is for the local runtime.")
    mixer_config = prepare.mixer_config(home, engine, mixer)
    _refuse_other(project)
    refuse(taken(ADDRESSES))
    stated = stated_services(home, project)
    chosen = services_of(stated, project)
    store = ConfigStore(home.config)
    store.write(checked_inputs(files or routing_files()) if files or not store.read() else ())
    prepare.tell_kept(home, files or routing_files())
    prepare.write_mesh_config(home, mixer_config)
    _make_folders(home)
    give_tokens(home, stated)
    began = time.monotonic()
    with sigterm_as_interrupt():
        project.save(home)
        try:
            _start(home, project, chosen)
        except BaseException:
            take_down(home, project)
            raise
    say(f"The mesh is up (compose, engine {engine}, {time.monotonic() - began:.1f} s).")
    print_urls(home)


def _make_folders(home: Home) -> None:
    """Those that containers mount, before Docker makes them as root. Raises UserError."""
    try:
        for folder, mode in ((home.registry, 0o755), (home.authority, 0o700), (home.roots, 0o755)):
            folder.mkdir(parents=True, exist_ok=True)
            folder.chmod(mode)
    except OSError as error:
        raise UserError(f"{error.filename} cannot be made, or is not yours: {error.strerror}") from error


def project_of(home: Home) -> Project | None:
    """The project that a home has up, also when the home was deleted meanwhile; None when there is none."""
    project = read_project(home)
    if project is not None:
        return project
    with suppress(UserError):  # without Docker nothing of it runs
        if str(home.path) in _homes(NAME):
            return Project(compose_command(), compose_file(), "python")
    return None


def take_down(home: Home, project: Project) -> int:
    """Remove every container, network and volume of it; how many containers there were. Raises UserError."""
    count = len(containers_of(project.name))
    every = Project(project.command, project.file, project.engine, project.name, (PROFILE,))
    every.run(home, "down", "--volumes", "--remove-orphans", seconds=STOP_SECONDS)
    for file in home.registry.rglob("*.yaml"):
        with suppress(OSError):
            file.unlink()
    home.compose.unlink(missing_ok=True)
    return count


def stated_services(home: Home, project: Project) -> dict[str, dict[str, Any]]:
    """What the compose file says of each service. Raises UserError."""
    found: dict[str, dict[str, Any]] = yaml.safe_load(project.run(home, "config", seconds=START_SECONDS))["services"]
    return found


def services_of(stated: Mapping[str, Mapping[str, Any]], project: Project) -> list[str]:
    """The services to start: all of the project's profiles whose images there are.

    Raises UserError where one of ours is missing: no registry has them, and somebody else might. What a profile adds,
    such as Jaeger, is left out with a word.
    """
    active = {name: item for name, item in stated.items() if set(item.get("profiles", ())) <= set(project.profiles)}
    images = {name: str(item["image"]) for name, item in active.items() if "build" not in item}
    known = set(output_of(("docker", "images", "--format", "{{.Repository}}:{{.Tag}}")).split())
    missing = {name: image for name, image in images.items() if image not in known}
    ours = sorted({image for image in missing.values() if image.startswith(OWN_HUB)})
    if ours:
        raise UserError(f"These images are not there, and `make images` builds them: {', '.join(ours)}.")
    for name, image in missing.items():
        if active[name].get("profiles") and (why := pull(image, PULL_SECONDS)):
            say(f"Without {name}: its image {image} cannot be pulled ({why}).")
            del active[name]
    return list(active)


def _refuse_other(project: Project) -> None:
    """Raise UserError where the project's containers are there: names and addresses allow one mesh on a machine."""
    if homes := _homes(project.name):
        stop = f"MIZZEN_HOME={shlex.quote(homes[0])} mizzen down"
        raise UserError(f"The mesh cannot start: there is a mesh of containers already; stop it with: {stop}")


def _homes(project: str) -> list[str]:
    return sorted({container.home for container in containers_of(project) if container.home})


def _start(home: Home, project: Project, services: Sequence[str]) -> None:
    """Until all run and the first page is there; raises UserError with the last words of what does not."""
    console = Console(stderr=True, highlight=False)
    with console.status("Starting containers") as status:
        try:
            project.run(home, "up", "--detach", "--remove-orphans", *services, seconds=START_SECONDS)
        except UserError as error:
            raise UserError("\n".join((str(error), *_last_words(_unwell(project))))) from error
        status.update("Waiting for the applications")
        _wait_well(project)
        status.update("Waiting for the first page")
        for url in entry_urls(ConfigStore(home.config).read().values())[:1]:
            wait_serving(url)


def _wait_well(project: Project) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while waiting := _unwell(project):
        if time.monotonic() > deadline:
            names = ", ".join(container.service for container in waiting)
            title = f"After {READY_SECONDS:.0f} s these are not well: {names}."
            raise UserError("\n".join((title, *_last_words(waiting))))
        time.sleep(POLL_SECONDS)


def _unwell(project: Project) -> list[Container]:
    return [container for container in containers_of(project.name) if container.state != "running"]


def _last_words(containers: Sequence[Container]) -> list[str]:
    lines: list[str] = []
    for container in containers[:SHOWN]:
        lines.append(f"{container.service} ({container.state}) {container.reason}")
        lines += [f"  {line}" for line in log_of(container.id, LOG_LINES)]
    return lines
