"""What a container of an image would run: ENTRYPOINT, ENV, USER and WORKDIR of its stage in images/Dockerfile."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from string import Template

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class Image:
    """What matters of one."""

    environment: Mapping[str, str] = field(default_factory=lambda: {"PATH": PATH})
    entrypoint: tuple[str, ...] = ()
    user: str = "0"
    """UID or UID:GID."""
    folder: str = "/"


def read_images(dockerfile: Path) -> dict[str, Image]:
    """By the names of their stages."""
    stages: dict[str, Image] = {}
    name = ""
    for line in dockerfile.read_text().replace("\\\n", " ").splitlines():
        word, _, rest = line.strip().partition(" ")
        if word == "FROM":
            origin, _, name = rest.split()
            stages[name] = stages.get(origin, Image())
        elif name:
            stages[name] = _after(stages[name], word, rest)
    return stages


def _after(image: Image, word: str, rest: str) -> Image:
    if word == "ENV":
        known = dict(image.environment)
        for setting in shlex.split(rest):
            key, _, value = setting.partition("=")
            known[key] = Template(value).safe_substitute(known)
        return replace(image, environment=known)
    if word == "ENTRYPOINT":
        return replace(image, entrypoint=tuple(json.loads(rest)))
    if word == "USER":
        return replace(image, user=rest.strip())
    if word == "WORKDIR":
        return replace(image, folder=rest.strip())
    return image


def stage(reference: str) -> str:
    """`mizzen/pilot:0.1.0` is made by the stage `pilot`."""
    return reference.rpartition("/")[2].partition("@")[0].partition(":")[0]
