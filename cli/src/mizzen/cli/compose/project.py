"""Which compose project the mesh of a home is: what `up` decided, for all other commands."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from stat import S_ISSOCK
from typing import Any

from mizzen.cli.compose.docker import output_of
from mizzen.cli.errors import UserError
from mizzen.cli.local.home import Home
from mizzen.runtime.files import write_atomic

NAME = "mizzen"
FILE = Path("compose") / "docker-compose.yaml"
SOCKET = "/var/run/docker.sock"
PROFILE = "observability"
OWN_BASE = "mizzen/base:bookworm"
"""Debian with Python, which `make images` makes where no registry answers."""


@dataclass(frozen=True, slots=True)
class Project:
    """A compose project that was started."""

    command: tuple[str, ...]
    """`docker compose` or `docker-compose`."""
    file: str
    engine: str
    name: str = NAME
    profiles: tuple[str, ...] = ()

    def compose(self, *args: str) -> tuple[str, ...]:
        """The command line of a compose command on all of it."""
        profiles = (part for profile in self.profiles for part in ("--profile", profile))
        return (*self.command, "--file", self.file, "--project-name", self.name, *profiles, *args)

    def environ(self, home: Home, inherited: Mapping[str, str] = os.environ) -> dict[str, str]:
        """What the compose file reads, beside the settings in .env next to it."""
        socket = _socket(inherited.get("DOCKER_HOST", ""))
        return {
            "DOCKER_SOCKET": socket,
            "MIZZEN_OWNER": f"{os.getuid()}:{_group_of(socket)}",
            **(dict.fromkeys(("MIZZEN_PROXY", "MIZZEN_GATEWAY"), "proxy-envoy") if self.engine == "envoy" else {}),
            **({"DEBIAN_IMAGE": OWN_BASE} if self.profiles and _is_here(OWN_BASE) else {}),
            **inherited,
            "MIZZEN_HOME": str(home.path),
        }

    def run(self, home: Home, *args: str, seconds: float) -> str:
        """Run a compose command; its output. Raises UserError."""
        return output_of(self.compose(*args), seconds, self.environ(home))

    def save(self, home: Home) -> None:
        write_atomic(home.compose, json.dumps(asdict(self), indent=1) + "\n")


def read_project(home: Home) -> Project | None:
    """The project of a home; None when its mesh is not one of containers."""
    try:
        data: Any = json.loads(home.compose.read_text(encoding="utf-8"))
        return Project(tuple(data["command"]), data["file"], data["engine"], data["name"], tuple(data["profiles"]))
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{home.compose} cannot be read ({error}); `docker ps` shows what runs.") from error


def compose_file(places: Sequence[Path] = (Path(), Path(__file__).parents[5])) -> str:
    """The compose file, below the working directory or in the repository around this package; raises UserError."""
    for place in places:
        if (place / FILE).is_file():
            return str((place / FILE).absolute())
    raise UserError(f"There is no {FILE} here: run this in a checkout of Mizzen.")


def _is_here(image: str) -> bool:
    return bool(output_of(("docker", "images", "--quiet", image)).strip())


def _socket(host: str) -> str:
    return host.removeprefix("unix://") if host.startswith("unix://") else SOCKET


def _group_of(socket: str) -> int:
    """The group that may use Docker's socket; the user's own where that cannot be told."""
    try:
        status = Path(socket).stat()
    except OSError:
        return os.getgid()
    return status.st_gid if S_ISSOCK(status.st_mode) else os.getgid()
