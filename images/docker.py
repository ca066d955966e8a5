"""What the build asks of the `docker` command."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

QUERY_SECONDS = 60
PULL_SECONDS = 600
BUILD_SECONDS = 1800

_FACTS = """
import json, platform
print(json.dumps([platform.python_version(), *platform.libc_ver(), platform.machine()]))
"""


class ImageError(Exception):
    """The build cannot go on; the text says what is wrong and what would help."""


@dataclass(frozen=True, slots=True)
class Platform:
    """What compiled wheels must fit: of an image, or of this machine."""

    python: str
    """Three numbers."""
    libc: str
    """glibc, or what `platform.libc_ver` says of another one."""
    libc_version: tuple[int, ...]
    machine: str

    @property
    def python_version(self) -> str:
        """Two numbers: those with one ABI."""
        return ".".join(self.python.split(".")[:2])


def require_engine() -> None:
    """Raises ImageError unless a Docker engine answers."""
    asked = _run("version", "--format", "{{.Server.Version}}", seconds=QUERY_SECONDS)
    if asked.returncode != 0:
        raise ImageError(f"images need a Docker engine, and none answers: {_last_line(asked.stderr)}")


def exists(image: str) -> bool:
    return _run("image", "inspect", image, seconds=QUERY_SECONDS).returncode == 0


def pull(image: str) -> str:
    """Bring it here; why that failed, or "" when it did not."""
    pulled = _run("pull", "--quiet", image, seconds=PULL_SECONDS)
    return "" if pulled.returncode == 0 else _last_line(pulled.stderr)


def import_tar(tar: Path, image: str, changes: Sequence[str]) -> None:
    """An image of one layer out of a root file system; raises ImageError."""
    flags = [part for change in changes for part in ("--change", change)]
    imported = _run("import", *flags, str(tar), image, seconds=PULL_SECONDS)
    if imported.returncode != 0:
        raise ImageError(f"docker cannot import {tar}: {_last_line(imported.stderr)}")


def build(context: Path, dockerfile: Path, image: str, options: Sequence[str], log: Path) -> None:
    """Build an image; `options` are further ones of `docker build`, whose output goes to `log`; raises ImageError."""
    built = _run("build", "--tag", image, "--file", str(dockerfile), *options, str(context), seconds=BUILD_SECONDS)
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text(built.stdout + built.stderr)
    if built.returncode != 0:
        tail = "\n".join(log.read_text().splitlines()[-30:])
        raise ImageError(f"docker cannot build {image} (all that it said is in {log}):\n{tail}")


def platform_of(image: str) -> Platform:
    """Asks the image's own `python3`; raises ImageError where there is none."""
    asking = ("run", "--rm", "--network", "none", "--entrypoint", "python3", image, "-c", _FACTS)
    asked = _run(*asking, seconds=QUERY_SECONDS)
    if asked.returncode != 0:
        raise ImageError(f"BASE_IMAGE {image} has no python3 that runs: {_last_line(asked.stderr)}")
    python, libc, version, machine = json.loads(asked.stdout)
    return Platform(python, libc, version_numbers(version), machine)


def version_numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(".") if part.isdecimal())


def size(image: str) -> int:
    """Bytes of all its layers."""
    return int(_inspect(image, "{{.Size}}"))


def settings(image: str) -> str:
    """What containers of the image start with, as JSON."""
    return _inspect(image, "{{json .Config}}")


@contextmanager
def exported(image: str) -> Iterator[IO[bytes]]:
    """The root file system of an image, as a stream of tar; raises ImageError."""
    made = _run("create", "--network", "none", image, seconds=QUERY_SECONDS)
    if made.returncode != 0:
        raise ImageError(f"docker cannot make a container of {image}: {_last_line(made.stderr)}")
    container = made.stdout.strip()
    try:
        with subprocess.Popen(("docker", "export", container), stdout=subprocess.PIPE) as process:
            assert process.stdout is not None  # it is a pipe
            yield process.stdout
        if process.returncode != 0:
            raise ImageError(f"docker cannot export {image}")
    finally:
        remove_container(container)


def remove_container(name: str) -> None:
    _run("rm", "--force", "--volumes", name, seconds=QUERY_SECONDS)


def remove(image: str) -> None:
    _run("image", "rm", image, seconds=QUERY_SECONDS)


def _inspect(image: str, template: str) -> str:
    asked = _run("image", "inspect", "--format", template, image, seconds=QUERY_SECONDS)
    if asked.returncode != 0:
        raise ImageError(f"there is no image {image}: {_last_line(asked.stderr)}")
    return asked.stdout.strip()


def _run(*arguments: str, seconds: int) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(("docker", *arguments), capture_output=True, text=True, timeout=seconds, check=False)
    except FileNotFoundError:
        raise ImageError("images need Docker, and there is no command `docker`") from None
    except subprocess.TimeoutExpired:
        raise ImageError(f"`docker {arguments[0]}` took more than {seconds} s") from None


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["(it said nothing)"])[-1]
