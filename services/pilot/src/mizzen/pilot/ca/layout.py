"""Istio's `cacerts` layout: an authority as texts under these names, of a folder or of a Secret. No I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature

from mizzen.identity.certificate import InvalidCertificate, certificates_from_pem, is_pair
from mizzen.identity.keys import InvalidKey, PrivateKey, key_from_pem
from mizzen.pilot.ca.authority import Authority
from mizzen.pilot.ca.revocation import NOTHING_REVOKED, Revocations, read_revocations
from mizzen.runtime.errors import StartError

SIGNER: Final = "ca-cert.pem"
KEY: Final = "ca-key.pem"
CHAIN: Final = "cert-chain.pem"
ROOTS: Final = "root-cert.pem"
REVOKED: Final = "ca-crl.pem"
NAMES: Final = (SIGNER, KEY, CHAIN, ROOTS, REVOKED)


@dataclass(frozen=True, slots=True)
class Stored:
    """What a place has."""

    authority: Authority
    revoked: Revocations = NOTHING_REVOKED


def read_stored(texts: Mapping[str, str], place: str, now: datetime) -> Stored:
    """All of it or nothing: an authority without its list would be refused everywhere. Raises StartError."""
    authority = read_authority(texts, place, now)
    return Stored(authority, read_revocations(texts.get(REVOKED, ""), authority, f"{place}/{REVOKED}", now))


def read_authority(texts: Mapping[str, str], place: str, now: datetime) -> Authority:
    """The authority with its chain proved; raises StartError that names the text in its `place`.

    A root needs no chain, and where no roots are stated (Istio's own `istio-ca-secret`), the signer is the root.
    """
    key = _key(texts, place)
    signer = _certificates(texts, SIGNER, place)[0]
    roots = tuple(_certificates(texts, ROOTS, place)) if ROOTS in texts else (signer,)
    chain = _certificates(texts, CHAIN, place) if texts.get(CHAIN) else []
    if not is_pair(signer, key):
        raise StartError(f"{place}/{KEY} is not the key of {place}/{SIGNER}")
    for name, certificates in ((SIGNER, (signer,)), (CHAIN, chain), (ROOTS, roots)):
        for certificate in certificates:
            _check(certificate, f"{place}/{name}", now)
    return Authority(key, signer, _path(signer, chain, roots, place), roots)


def _key(texts: Mapping[str, str], place: str) -> PrivateKey:
    try:
        return key_from_pem(_text(texts, KEY, place))
    except InvalidKey as error:
        raise StartError(f"{place}/{KEY}: {error}") from error


def _certificates(texts: Mapping[str, str], name: str, place: str) -> list[x509.Certificate]:
    try:
        return certificates_from_pem(_text(texts, name, place))
    except InvalidCertificate as error:
        raise StartError(f"{place}/{name}: {error}") from error


def _text(texts: Mapping[str, str], name: str, place: str) -> str:
    if name not in texts:
        raise StartError(f"{place} has no {name}")
    return texts[name]


def _check(certificate: x509.Certificate, path: str, now: datetime) -> None:
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
    signer: x509.Certificate, chain: Sequence[x509.Certificate], roots: Sequence[x509.Certificate], place: str
) -> tuple[x509.Certificate, ...]:
    """From the signer to below a root, each signed by the next."""
    if signer in roots:
        return ()
    path = [signer]
    while not any(_signed(path[-1], root) for root in roots):
        above = next((each for each in chain if each not in path and _signed(path[-1], each)), None)
        if above is None:
            raise StartError(
                f"nothing in {place}/{CHAIN} leads from {path[-1].subject.rfc4514_string()!r} to {place}/{ROOTS}"
            )
        path.append(above)
    return tuple(path)


def _signed(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True
