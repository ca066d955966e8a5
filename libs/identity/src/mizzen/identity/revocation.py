"""Lists of revoked certificates: read, and asked about a certificate. Who has signed them is for others to look at."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Self

from cryptography import x509

_END: Final = "-----END X509 CRL-----"


@dataclass(frozen=True, slots=True)
class RevocationList:
    """Of one authority."""

    issuer: x509.Name
    key_identifier: bytes | None
    """Of the key that signed it, where it says so."""
    numbers: frozenset[int]
    """Of certificates that are not to be believed any more."""
    ends: datetime | None = None
    """When there has to be a newer one; None: never."""

    @classmethod
    def of(cls, found: x509.CertificateRevocationList) -> Self:
        """What one list says."""
        numbers = frozenset(entry.serial_number for entry in found)
        return cls(found.issuer, signers_key(found.extensions), numbers, found.next_update_utc)

    def is_for(self, certificate: x509.Certificate) -> bool:
        """Whether this authority has signed it, by the names alone: a handshake has verified signatures."""
        return certificate.issuer == self.issuer and agree(self.key_identifier, signers_key(certificate.extensions))

    def has(self, certificate: x509.Certificate) -> bool:
        """Whether this authority has signed and revoked it."""
        return certificate.serial_number in self.numbers and self.is_for(certificate)


def lists_from_pem(pem: str) -> list[x509.CertificateRevocationList]:
    """All in the text; raises ValueError."""
    return [x509.load_pem_x509_crl((text + _END).encode()) for text in pem.split(_END)[:-1]]


def objection(lists: Collection[RevocationList], certificate: x509.Certificate, now: datetime) -> str:
    """Why a certificate is not to be believed; empty where it is.

    As OpenSSL has it: where there are lists at all, whoever signs needs one that has not ended.
    """
    if not lists:
        return ""
    if any(each.has(certificate) for each in lists):
        return "it was revoked"
    if not any(each.is_for(certificate) and (each.ends is None or each.ends > now) for each in lists):
        return "its authority has no list of revoked certificates, or none that has not ended"
    return ""


def signers_key(extensions: x509.Extensions) -> bytes | None:
    """Which key has signed a certificate or list, where it says so."""
    try:
        return extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier
    except x509.ExtensionNotFound:
        return None


def agree(one: bytes | None, other: bytes | None) -> bool:
    """Whether two may be one key."""
    return one is None or other is None or one == other
