"""A certificate for the webhook's names, and one from an authority that exists for this one signature."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from mizzen.identity.signing import begun, key_usage

SKEW = timedelta(minutes=5)
"""By how much clocks of API servers may be behind ours."""
AUTHORITY = "mizzen-injector authority"


@dataclass(frozen=True, slots=True)
class Pair:
    """What a TLS server shows and proves, in PEM: the certificate first, then what is between it and the root."""

    chain: bytes
    key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Issued:
    """A pair, and the roots in PEM by which clients believe it."""

    pair: Pair
    roots: tuple[bytes, ...]


def sign_by_itself(hosts: Sequence[str], now: datetime, life: timedelta) -> Issued:
    """For these DNS names, from now on, for so long.

    The authority is one of its own, whose key is forgotten at once: nobody can sign by it again.
    """
    authority, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    issuer, known = _name(AUTHORITY), x509.SubjectKeyIdentifier.from_public_key(authority.public_key())
    validity = (now - SKEW, now + life)
    root = (
        begun(issuer, issuer, authority.public_key(), validity)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(key_usage(signs_certificates=True), critical=True)
        .add_extension(known, critical=False)
        .sign(authority, hashes.SHA256())
    )
    leaf = (
        begun(_name(hosts[0][:64]), issuer, key.public_key(), validity)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(key_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host) for host in hosts]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(known), critical=False)
        .sign(authority, hashes.SHA256())
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return Issued(Pair(leaf.public_bytes(Encoding.PEM), private), (root.public_bytes(Encoding.PEM),))


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])
