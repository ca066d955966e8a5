"""The programs of iptables: which of them to use, and how to run them."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mizzen.injector.proxyinit.rules import Family
from mizzen.injector.proxyinit.settings import Binary
from mizzen.injector.proxyinit.state import State, has_rules, is_captured, parse_save

log = logging.getLogger(__name__)

RUN_SECONDS: Final = 20.0
LOCK_SECONDS: Final = 10
"""How long a program waits for others that change the rules."""
_LOCK: Final = Path("/run/xtables.lock")
_VARIANTS: Final = ("nft", "legacy", "")


class CaptureError(Exception):
    """The rules cannot be read or changed; the message says why, for the person who started us."""


@dataclass(frozen=True, slots=True)
class Iptables:
    """One back end for one family."""

    family: Family
    variant: str
    """`nft`, `legacy`, or "" for the system's own iptables."""

    def program(self, action: str = "") -> str:
        """`ip6tables-nft-save` for the action `save`."""
        parts = ["iptables" if self.family == 4 else "ip6tables", self.variant, action]
        return "-".join(part for part in parts if part)

    def save(self) -> str:
        """All rules of this network namespace. Raises CaptureError."""
        return run([self.program("save")])

    def restore(self, text: str) -> None:
        """Apply, each table at once. Raises CaptureError."""
        log.debug("%s --noflush:\n%s", self.program("restore"), text)
        run([self.program("restore"), "--noflush", "-w", str(LOCK_SECONDS)], text)

    def works(self) -> bool:
        """Whether the program and what it needs of the kernel are there."""
        if shutil.which(self.program("save")) is None or shutil.which(self.program("restore")) is None:
            return False
        try:
            run([self.program(), "-w", str(LOCK_SECONDS), "-t", "nat", "-S"])
        except CaptureError as error:
            log.debug("%s", error)
            return False
        return True


def find_iptables(family: Family, forced: Binary) -> Iptables:
    """The back end whose rules are in force here, a mesh's first; else the first that works, nft before legacy.

    Two back ends at once would each filter every packet. Raises CaptureError when there is none.
    """
    candidates = [Iptables(family, variant) for variant in ([forced] if forced else _VARIANTS)]
    if not forced:
        candidates = [*installed(family), *(each for each in candidates if has_rules(_state(each))), *candidates]
    for candidate in candidates:
        if candidate.works():
            return candidate
    tried = ", ".join(dict.fromkeys(candidate.program() for candidate in candidates))
    raise CaptureError(
        f"no iptables works here (tried {tried}): the programs must be installed, the kernel must have the table nat, "
        "and this process needs the capabilities NET_ADMIN and NET_RAW; --log-level debug says what each answered"
    )


def installed(family: Family) -> list[Iptables]:
    """Every back end that holds a part of a mesh; the system's own iptables only if it is none of the others."""
    named = [each for each in (Iptables(family, variant) for variant in _VARIANTS) if is_captured(_state(each))]
    return [each for each in named if each.variant] or named


def run(command: Sequence[str], text: str | None = None) -> str:
    """What a program prints. Raises CaptureError with its own words when it fails."""
    try:
        done = subprocess.run(  # noqa: S603 - iptables and iproute2, from PATH as the image has them
            command, input=text, capture_output=True, text=True, timeout=RUN_SECONDS, check=False, env=_environment()
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CaptureError(f"{' '.join(command)}: {error}") from None
    if done.returncode:
        said = " ".join(done.stderr.split()) or "it said nothing"
        raise CaptureError(f"{' '.join(command)} ended with status {done.returncode}: {said}")
    return done.stdout


def _environment() -> dict[str, str]:
    """With a lock file that can be written: on a read-only root the usual one cannot."""
    can_lock = os.access(_LOCK if _LOCK.exists() else _LOCK.parent, os.W_OK)
    return dict(os.environ) if can_lock else os.environ | {"XTABLES_LOCKFILE": os.devnull}


def _state(candidate: Iptables) -> State:
    """What it holds here. Asked of the legacy program, that would load its modules: the kernel tells if it has any."""
    if shutil.which(candidate.program("save")) is None:
        return {}
    if candidate.variant == "legacy" and not _legacy_tables(candidate.family):
        return {}
    try:
        return parse_save(candidate.save())
    except CaptureError as error:
        log.debug("%s", error)
        return {}


def _legacy_tables(family: Family) -> str:
    try:
        return Path(f"/proc/net/ip{'6' if family == 6 else ''}_tables_names").read_text("ascii").strip()
    except OSError:
        return ""  # a kernel without them
