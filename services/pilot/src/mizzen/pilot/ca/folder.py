"""The authority's files, in Istio's `cacerts` layout: a plugged-in authority and our own root alike."""

from __future__ import annotations

import logging
from datetime import datetime
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature

from mizzen.identity.certificate import InvalidCertificate, certificate_to_pem, certificates_from_pem, is_pair
from mizzen.identity.keys import InvalidKey, PrivateKey, key_from_pem, key_to_pem, new_key
from mizzen.pilot.ca.authority import Authority, self_signed
from mizzen.runtime.errors import StartError
from mizzen.runtime.files import write_atomic

log = logging.getLogger(__name__)

SIGNER: Final = "ca-cert.pem"
KEY: Final = "ca-key.pem"
CHAIN: Final = "cert-chain.pem"
ROOTS: Final = "root-cert.pem"


def load_or_create(folder: Path, trust_domain: str, now: datetime) -> Authority:
    """The authority of the folder; where there is none, a new root that is kept there. Raises StartError."""
    try:
        if not (folder / SIGNER).exists():
            _create(folder, trust_domain, now)
        return load(folder, now)
    except OSError as error:
        raise StartError(f"cannot keep the authority in {folder}: {error}") from error


def load(folder: Path, now: datetime) -> Authority:
    """The authority of the folder, with its chain proved; raises StartError that names the file, and OSError."""
    key = _read_key(folder / KEY)
    signer = _read(folder / SIGNER)[0]
    roots = tuple(_read(folder / ROOTS))
    has_chain = (folder / CHAIN).exists() and (folder / CHAIN).stat().st_size > 0  # a root needs none
    chain = _read(folder / CHAIN) if has_chain else []
    if not is_pair(signer, key):
        raise StartError(f"{folder / KEY} is not the key of {folder / SIGNER}")
    for certificate, place in (
        (signer, SIGNER),
        *((each, CHAIN) for each in chain),
        *((each, ROOTS) for each in roots),
    ):
        _check(certificate, folder / place, now)
    return Authority(key, signer, _path(signer, chain, roots, folder), roots)


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


def _read(path: Path) -> list[x509.Certificate]:
    try:
        return certificates_from_pem(path.read_text())
    except InvalidCertificate as error:
        raise StartError(f"{path}: {error}") from error


def _check(certificate: x509.Certificate, path: Path, now: datetime) -> None:
    try:
        is_authority = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (x509.ExtensionNotFound, ValueError):
        is_authority = False
    name = certificate.subject.rfc4514_string()
    if not is_authority:
        raise StartError(f"{path}: {name!r} is no authority's certificate (basicConstraints CA:TRUE is missing)")
    if certificate.not_valid_after_utc <= now:
        raise StartError(f"{path}: {name!r} has ended at {certificate.not_valid_after_utc:%Y-%m-%d %H:%M:%S} UTC")


def _path(
    signer: x509.Certificate, chain: list[x509.Certificate], roots: tuple[x509.Certificate, ...], folder: Path
) -> tuple[x509.Certificate, ...]:
    """From the signer to below a root, each signed by the next."""
    if signer in roots:
        return ()
    path = [signer]
    while not any(_signed(path[-1], root) for root in roots):
        above = next((each for each in chain if each not in path and _signed(path[-1], each)), None)
        if above is None:
            raise StartError(
                f"nothing in {folder / CHAIN} leads from {path[-1].subject.rfc4514_string()!r} to {folder / ROOTS}"
            )
        path.append(above)
    return tuple(path)


def _signed(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True
