"""Secrets in files of this machine, by the names that Istio gives them, read anew when the files change.

`file-cert:CERT~KEY` is a certificate with its key, `file-root:CA` are roots, `file-root:system` those of the operating
system. `file-crl:CRL` is a name of our own, for revocation lists that a message names as a file.
"""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final, TypeAlias

from mizzen.proxy.engine.tls_plan import CRL_FILE, PAIR_FILES, ROOTS_FILE, SYSTEM_ROOTS, SecretPlan
from mizzen.proxy.snapshot.result import Invalid
from mizzen.proxy.snapshot.secrets import MAX_PEM, pair, roots
from mizzen.runtime.followed import FollowedFiles, read_text

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

Changed: TypeAlias = Callable[[tuple[SecretPlan, ...]], Awaitable[None]]


class FileSecrets(FollowedFiles[SecretPlan]):
    """Those that somebody wants."""

    def __init__(self, changed: Changed) -> None:
        """`changed` hears of new versions that `watch` finds, not of what `want` reads at once."""
        super().__init__(files_of, _read, changed)


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


def _read(name: str) -> SecretPlan:
    try:
        return read(name)
    except Invalid as error:
        raise ValueError(f"{error.path}: {error.reason}" if error.path else error.reason) from None


def _text(path: Path) -> str:
    try:
        return read_text(path, MAX_PEM)
    except ValueError as error:
        raise Invalid("", f"{error}: PEM is expected") from None


def _system_roots() -> Path:
    known = next((path for path in map(Path, _SYSTEM_FILES) if path.is_file()), None)
    return known or Path(ssl.get_default_verify_paths().openssl_cafile)
