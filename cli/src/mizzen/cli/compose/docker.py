"""Runs `docker` and compose commands."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence

from mizzen.cli.errors import UserError

ANSWER_SECONDS = 20.0


def output_of(command: Sequence[str], seconds: float = ANSWER_SECONDS, environ: Mapping[str, str] | None = None) -> str:
    """Standard output of a command that must succeed; raises UserError with what it said instead."""
    try:
        done = subprocess.run(  # noqa: S603 - the command of a runtime that the user has chosen
            command, capture_output=True, text=True, timeout=seconds, check=False, env=environ, stdin=subprocess.DEVNULL
        )
    except FileNotFoundError as error:
        raise UserError(f"There is no command {command[0]}.") from error
    except subprocess.TimeoutExpired as error:
        raise UserError(f"`{' '.join(command[:3])} ...` did not end within {seconds:g} s.") from error
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip()
        raise UserError(f"`{' '.join(command)}` ended with status {done.returncode}:\n{said}")
    return done.stdout


def pull(image: str, seconds: float) -> str:
    """Pull an image; the reason where that is not possible, in one line."""
    try:
        output_of(("docker", "pull", "--quiet", image), seconds)
    except UserError as error:
        return str(error).splitlines()[-1]
    return ""


def log_of(container: str, lines: int) -> list[str]:
    """The last lines that a container wrote, to either output."""
    done = subprocess.run(  # noqa: S603
        ("docker", "logs", "--tail", str(lines), container),  # noqa: S607 - whichever Docker the user has
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=ANSWER_SECONDS,
        check=False,
    )
    return done.stdout.splitlines()
