"""Secrets in files of this machine, by the names that Istio gives them, read anew when the files change.

`file-cert:CERT~KEY` is a certificate with its key, `file-root:CA` are roots, `file-root:system` those of the operating
system. `file-crl:CRL` is a name of our own, for revocation lists that a message names as a file.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Final, TypeAlias

from mizzen.proxy.engine.tls_plan import CRL_FILE, PAIR_FILES, ROOTS_FILE, SYSTEM_ROOTS, SecretPlan
from mizzen.proxy.snapshot.result import Invalid
from mizzen.proxy.snapshot.secrets import MAX_PEM, pair, roots

log = logging.getLogger(__name__)

LOOK_SECONDS: Final = 1.0
"""How often the files are looked at."""
_SYSTEM_FILES: Final = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/tls/cacert.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
    "/usr/local/etc/ssl/cert.pem",
)
"""Where operating systems keep the authorities that they trust; Istio looks in the same places."""

_Stamp: TypeAlias = tuple[tuple[int, int, int] | None, ...]
"""Of each file of a secret: what changes when it does; None for one that is not there."""
Changed: TypeAlias = Callable[[tuple[SecretPlan, ...]], Awaitable[None]]


class FileSecrets:
    """Those that somebody wants. `watch` for ever; what cannot be read (any more) stays as it was."""

    def __init__(self, changed: Changed) -> None:
        """`changed` hears of new versions that `watch` finds, not of what `want` reads at once."""
        self.current: dict[str, SecretPlan] = {}
        """The last good ones, by name."""
        self.errors: dict[str, str] = {}
        """Why the newest version of a secret is not used."""
        self._changed = changed
        self._stamps: dict[str, _Stamp] = {}
        self._untold: dict[str, SecretPlan] = {}

    def want(self, names: Iterable[str]) -> tuple[SecretPlan, ...]:
        """Follow these secrets and no others; those among them that are new here and good."""
        names = set(names)
        for gone in self._stamps.keys() - names:
            del self._stamps[gone]
            self.current.pop(gone, None)
            self.errors.pop(gone, None)
            self._untold.pop(gone, None)
        return self._look(sorted(names - self._stamps.keys()))

    async def watch(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            self._untold |= {plan.name: plan for plan in self._look(sorted(self._stamps))}
            if self._untold:
                try:
                    await self._changed(tuple(self._untold.values()))
                except RuntimeError as error:
                    log.error("New secrets from files are not used yet: %s", error)
                else:
                    self._untold.clear()

    def _look(self, names: Iterable[str]) -> tuple[SecretPlan, ...]:
        """New versions of these."""
        fresh = []
        for name in names:
            paths = files_of(name)
            stamp = tuple(map(_stamp, paths))
            if self._stamps.get(name) == stamp:
                continue
            self._stamps[name] = stamp
            try:
                plan = read(name)
            except Invalid as error:
                self._complain(name, f"{error.path}: {error.reason}" if error.path else error.reason)
                continue
            self.errors.pop(name, None)
            if plan != self.current.get(name):
                self.current[name] = plan
                fresh.append(plan)
        return tuple(fresh)

    def _complain(self, name: str, reason: str) -> None:
        if self.errors.get(name) != reason:
            kept = "the version before it stays in use" if name in self.current else "there is none to use"
            log.error("Secret %s %s; %s", name, reason, kept)
        self.errors[name] = reason


def is_file(name: str) -> bool:
    """Whether a secret of this name is in files."""
    return name.startswith((PAIR_FILES, ROOTS_FILE, CRL_FILE))


def files_of(name: str) -> tuple[Path, ...]:
    """The files that a secret is made of; empty for a name that says nothing of the kind."""
    if name.startswith(PAIR_FILES):
        parts = name.removeprefix(PAIR_FILES).split("~")
        return tuple(map(Path, parts)) if len(parts) == 2 and all(parts) else ()
    if name == SYSTEM_ROOTS:
        return (_system_roots(),)
    path = name.removeprefix(ROOTS_FILE).removeprefix(CRL_FILE)
    return (Path(path),) if path and path != name else ()


def read(name: str) -> SecretPlan:
    """Raises Invalid, which says what is wrong with which file."""
    texts = [_text(path) for path in files_of(name)]
    if not texts:
        raise Invalid("", f"{name!r} is no name of files: {PAIR_FILES}CERTIFICATE~KEY, {ROOTS_FILE}CERTIFICATES")
    if name.startswith(PAIR_FILES):
        return pair(name, *texts)
    if name.startswith(CRL_FILE):
        return roots(name, "", texts[0])
    return roots(name, texts[0])


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(MAX_PEM + 1).decode("utf-8")
    except OSError as error:
        raise Invalid("", f"cannot be read: {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise Invalid("", f"cannot be read: {path} is not text, PEM is expected") from None


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns


def _system_roots() -> Path:
    known = next((path for path in map(Path, _SYSTEM_FILES) if path.is_file()), None)
    return known or Path(ssl.get_default_verify_paths().openssl_cafile)
