"""Flags and environment of the registrar."""

from __future__ import annotations

import argparse
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mizzen.runtime.logs import LEVELS

PREFIX = "MIZZEN_REGISTRAR_"


@dataclass(frozen=True, slots=True)
class Settings:
    """How this registrar runs."""

    docker_socket: Path
    registry_dir: Path
    project: str
    """Empty: the one that this container is part of."""
    container: str
    """This container, by the name or id that Docker knows."""
    log_level: str


def read_settings(arguments: Sequence[str], environment: Mapping[str, str]) -> Settings:
    """A flag wins over its variable (MIZZEN_REGISTRAR_ and the flag in capitals).

    Exits with status 2 and the usage for what is not understood.
    """
    parser = argparse.ArgumentParser(
        prog="mizzen-registrar",
        description="Writes the containers of a compose project into the registry folder that Pilot and Mixer watch.",
        epilog=f"Each flag has a variable: --registry-dir is {PREFIX}REGISTRY_DIR.",
    )

    def flag(name: str, default: str, text: str) -> None:
        value = environment.get(PREFIX + name.upper().replace("-", "_"), default)
        parser.add_argument(f"--{name}", default=value, help=f"{text} ({value or 'none'})".replace("%", "%%"))

    flag("docker-socket", "/var/run/docker.sock", "Docker's API; only asked, never told to do anything")
    flag("registry-dir", ".mizzen/registry", "where Services, Pods and EndpointSlices are written")
    flag("project", "", "the compose project; else that of this container")
    flag("container", socket.gethostname(), "this container, which tells the project")
    flag("log-level", "info", ", ".join(LEVELS))
    given = parser.parse_args(arguments)
    if given.log_level not in LEVELS:
        parser.error(f"log level must be one of {', '.join(LEVELS)}, not {given.log_level!r}")
    return Settings(
        docker_socket=Path(given.docker_socket),
        registry_dir=Path(given.registry_dir),
        project=given.project,
        container=given.container,
        log_level=given.log_level,
    )
