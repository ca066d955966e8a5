"""The image that all others stand on: the one that was asked for, or one that debootstrap makes."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from images import docker
from images.docker import ImageError

DEFAULT = "python:3.11-slim-bookworm"
OWN = "mizzen/base:bookworm"
"""What `make base-image` makes: Debian's minimal bookworm with its Python, 3.11."""

SUITE = "bookworm"
PACKAGES = ("python3", "ca-certificates", "netbase")
SECONDS = 1200

_SOURCES = """\
deb {mirror} {suite} main
deb {mirror} {suite}-updates main
deb {mirror}-security {suite}-security main
"""
_NO_DOCUMENTS = """\
path-exclude=/usr/share/doc/*
path-include=/usr/share/doc/*/copyright
path-exclude=/usr/share/info/*
path-exclude=/usr/share/lintian/*
path-exclude=/usr/share/locale/*
path-exclude=/usr/share/man/*
"""
_UPGRADE = """
export DEBIAN_FRONTEND=noninteractive
apt-get -qq update
apt-get -qq upgrade --yes --no-install-recommends
apt-get clean
find /usr/share/doc -type f ! -name copyright -delete
find /usr/share/doc -depth -type d -empty -delete
rm -rf /usr/share/info/* /usr/share/lintian /usr/share/locale/* /usr/share/man/*
rm -rf /var/lib/apt/lists/* /var/log/* /var/cache/* /tmp/*
: > /etc/machine-id
: > /etc/hostname
: > /etc/resolv.conf
"""


def find(asked: str, cache: Path) -> str:
    """The base image to build on: `asked` if it is here or can be pulled; in place of the default one our own.

    Raises ImageError.
    """
    if docker.exists(asked):
        return asked
    why = docker.pull(asked)
    if not why:
        return asked
    if asked != DEFAULT:
        raise ImageError(f"BASE_IMAGE {asked} is not on this machine and cannot be pulled: {why}")
    print(f"{asked} is not on this machine and cannot be pulled ({why}).")
    print(f"Building on {OWN} instead, made of Debian's packages; BASE_IMAGE=... chooses another image.")
    if not docker.exists(OWN):
        tar = _tar(cache)
        _import(tar if tar.exists() else _bootstrap(tar))
    return OWN


def make(cache: Path) -> str:
    """Make our own base image anew, with today's updates; its name. Raises ImageError."""
    _import(_bootstrap(_tar(cache)))
    return OWN


def _tar(cache: Path) -> Path:
    return cache / f"{SUITE}-{os.uname().machine}.tar"


def _import(tar: Path) -> None:
    docker.import_tar(tar, OWN, ("ENV LANG=C.UTF-8", 'CMD ["python3"]'))


def _bootstrap(tar: Path) -> Path:
    """Fill `tar` with a root file system; it stays as a cache."""
    if os.geteuid() != 0:
        raise ImageError(
            "debootstrap needs root: `sudo make base-image`, or name an image that is here: BASE_IMAGE=..."
        )
    if not shutil.which("debootstrap"):
        raise ImageError("there is no debootstrap: `apt-get install debootstrap`, or name an image: BASE_IMAGE=...")
    print("debootstrap makes the base image (about a minute) ...", flush=True)
    tar.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="mizzen-base-") as folder:
        root = Path(folder, "root")
        log = tar.with_suffix(".log")
        included = f"--include={','.join(PACKAGES)}"
        _run(log, "debootstrap", "--variant=minbase", included, SUITE, str(root))
        sources = root / "etc/apt/sources.list"
        mirror = sources.read_text().split()[1]  # debootstrap's own choice
        sources.write_text(_SOURCES.format(mirror=mirror, suite=SUITE))
        (root / "etc/dpkg/dpkg.cfg.d/mizzen").write_text(_NO_DOCUMENTS)
        _run(log, "chroot", str(root), "sh", "-euc", _UPGRADE)
        made = Path(folder, "root.tar")
        _run(log, "tar", "--numeric-owner", "--sort=name", "-C", str(root), "-cf", str(made), ".")
        shutil.move(made, tar)
    return tar


def _run(log: Path, *command: str) -> None:
    with log.open("a") as out:
        try:
            ran = subprocess.run(command, stdout=out, stderr=out, timeout=SECONDS, check=False)
        except subprocess.TimeoutExpired:
            raise ImageError(f"{command[0]} took more than {SECONDS} s; see {log}") from None
    if ran.returncode != 0:
        raise ImageError(f"{command[0]} failed with status {ran.returncode}; see {log}")
