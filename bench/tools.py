"""Programs that this benchmark needs and does not bring along."""

from __future__ import annotations

import os
import shutil

PACKAGES = {"wrk": "wrk", "nginx": "nginx-light", "haproxy": "haproxy"}
"""Program: the Debian package that has it."""

ROOT_PATHS = "/usr/local/sbin:/usr/sbin:/sbin"
"""Where Debian installs servers, often outside of a user's PATH."""


def find(program: str) -> str | None:
    """The path of a program, or None."""
    return shutil.which(program, path=f"{os.environ.get('PATH', os.defpath)}:{ROOT_PATHS}")


def missing() -> list[str]:
    """One line for each program that is not installed: what is used instead, and how to get it."""
    instead = {
        "wrk": "the load comes from a slower generator in Python, which can be the bottleneck",
        "nginx": "the back end is a slower server in Python, which can be the bottleneck",
        "haproxy": "it takes no part",
    }
    return [
        f"{program} is not installed: {instead[program]} (apt install {package})"
        for program, package in PACKAGES.items()
        if find(program) is None
    ]
