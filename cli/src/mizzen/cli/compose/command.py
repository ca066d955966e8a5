"""Whether this machine runs containers, and by which compose command."""

from __future__ import annotations

import shutil

from mizzen.cli.compose.docker import output_of
from mizzen.cli.errors import UserError

CANDIDATES = (("docker", "compose"), ("docker-compose",))


def compose_command() -> tuple[str, ...]:
    """`docker compose`, or else `docker-compose`; raises UserError saying what is missing."""
    if shutil.which("docker") is None:
        raise UserError("There is no Docker here (no command docker).")
    try:
        output_of(("docker", "info", "--format", "{{.ServerVersion}}"))
    except UserError as error:
        raise UserError(f"No Docker engine answers: {str(error).splitlines()[-1]}") from error
    for command in CANDIDATES:
        if shutil.which(command[0]) is not None:
            try:
                output_of((*command, "version"))
            except UserError:
                continue  # docker without the plugin
            return command
    raise UserError("There is neither `docker compose` nor `docker-compose`.")
