"""The authority in a folder, in Istio's `cacerts` layout: a plugged-in authority and our own root alike."""

from __future__ import annotations

import logging
from datetime import datetime
from pathlib import Path

from mizzen.identity.certificate import certificate_to_pem
from mizzen.identity.keys import InvalidKey, PrivateKey, key_from_pem, key_to_pem, new_key
from mizzen.pilot.ca.authority import self_signed
from mizzen.pilot.ca.layout import CHAIN, KEY, NAMES, ROOTS, SIGNER, Stored, read_stored
from mizzen.runtime.errors import StartError
from mizzen.runtime.files import write_atomic

log = logging.getLogger(__name__)


def load_or_create(folder: Path, trust_domain: str, now: datetime) -> Stored:
    """The authority of the folder; where there is none, a new root that is kept there. Raises StartError."""
    try:
        if not (folder / SIGNER).exists():
            _create(folder, trust_domain, now)
        return load(folder, now)
    except OSError as error:
        raise StartError(f"cannot keep the authority in {folder}: {error}") from error


def load(folder: Path, now: datetime) -> Stored:
    """The authority of the folder, with its chain proved; raises StartError that names the file, and OSError."""
    files = {name: folder / name for name in NAMES}
    return read_stored({name: file.read_text() for name, file in files.items() if file.exists()}, str(folder), now)


def _create(folder: Path, trust_domain: str, now: datetime) -> None:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if (folder / KEY).exists():  # a start that was cut short, or somebody's own key: never overwritten
        key = _read_key(folder / KEY)
    else:
        key = new_key()
        write_atomic(folder / KEY, key_to_pem(key), mode=0o600)
    certificate = certificate_to_pem(self_signed(key, trust_domain, now).certificate)
    for name in (ROOTS, CHAIN, SIGNER):  # the signer last: without it the next start goes on from here
        write_atomic(folder / name, certificate)
    log.info("Created the root of trust domain %s in %s", trust_domain, folder)


def _read_key(path: Path) -> PrivateKey:
    try:
        return key_from_pem(path.read_text())
    except InvalidKey as error:
        raise StartError(f"{path}: {error}") from error
