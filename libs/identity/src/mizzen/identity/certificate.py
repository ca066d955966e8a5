"""Certificates and chains of them, as PEM text and as values."""

from __future__ import annotations

from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from mizzen.identity.keys import PrivateKey
from mizzen.identity.spiffe import InvalidIdentity, SpiffeId

MAX_CERTIFICATES: Final = 100
"""In one PEM text."""


class InvalidCertificate(ValueError):
    """Certificates that are not to be used; the message says why."""


def certificates_from_pem(pem: str) -> list[x509.Certificate]:
    """All in the text, in its order, at least one; raises InvalidCertificate."""
    try:
        found = x509.load_pem_x509_certificates(pem.encode())
    except ValueError as error:
        raise InvalidCertificate(f"not certificates in PEM: {error}") from error
    if len(found) > MAX_CERTIFICATES:
        raise InvalidCertificate(f"{len(found)} certificates in one file; at most {MAX_CERTIFICATES} are read")
    return found


def certificate_to_pem(certificate: x509.Certificate) -> str:
    """With a line break at its end."""
    return certificate.public_bytes(Encoding.PEM).decode()


def identity_of(certificate: x509.Certificate) -> SpiffeId:
    """The one SPIFFE id of a workload's certificate; raises InvalidIdentity (X509-SVID specification, §2)."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError) as error:
        raise InvalidIdentity(f"the certificate has no alternative names: {error}") from error
    uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    if len(uris) != 1:
        raise InvalidIdentity(f"the certificate has {len(uris)} URIs, where an identity is exactly one")
    return SpiffeId.parse(uris[0])


def is_pair(certificate: x509.Certificate, key: PrivateKey) -> bool:
    """Whether the certificate is that key's."""
    return certificate.public_key() == key.public_key()
