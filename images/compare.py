"""Tells what two builds of an image differ in, time stamps apart."""

from __future__ import annotations

import hashlib
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import IO


@dataclass(frozen=True, slots=True)
class Entry:
    """A file of an image, without its times."""

    kind: bytes
    mode: int
    owner: tuple[int, int]
    target: str
    """Of a link."""
    content: str
    """A hash; "" of what has none."""


def contents(archive: IO[bytes]) -> dict[str, Entry]:
    """The files of a root file system, as `docker export` streams it."""
    files: dict[str, Entry] = {}
    with tarfile.open(fileobj=archive, mode="r|") as tar:
        for member in tar:
            file = tar.extractfile(member) if member.isfile() else None
            content = hashlib.sha256(file.read()).hexdigest() if file else ""
            owner = (member.uid, member.gid)
            files[member.name] = Entry(member.type, member.mode, owner, member.linkname, content)
    return files


def differences(one: Mapping[str, Entry], other: Mapping[str, Entry]) -> list[str]:
    """A line for each file that is not the same in both."""
    lines = []
    for name in sorted({*one, *other}):
        here, there = one.get(name), other.get(name)
        if here is None or there is None:
            lines.append(f"{name}: only in the {'second' if here is None else 'first'}")
        elif here != there:
            parts = [part for part in Entry.__slots__ if getattr(here, part) != getattr(there, part)]
            lines.append(f"{name}: {', '.join(parts)}")
    return lines
