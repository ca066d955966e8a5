"""Signing: a public key, an identity and a life become a certificate. No I/O; the time is an argument."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from mizzen.identity.certificate import certificate_to_pem
from mizzen.identity.keys import PrivateKey, PublicKey
from mizzen.identity.signing import begun, key_usage
from mizzen.identity.spiffe import SpiffeId

SKEW: Final = timedelta(minutes=2)
"""Certificates begin this much before now, for proxies whose clock is behind (Istio's grace period)."""
ROOT_LIFE: Final = timedelta(days=3650)


class CannotSign(Exception):
    """The authority is not able to; the message says why."""


@dataclass(frozen=True, slots=True)
class Authority:
    """Who signs, and how a proxy gets from there to what it trusts."""

    key: PrivateKey
    certificate: x509.Certificate
    intermediates: tuple[x509.Certificate, ...]
    """From the signer, unless it is a root, up to the one that a root signed."""
    roots: tuple[x509.Certificate, ...]
    """What proxies trust: several while one root replaces another."""

    def issue(
        self, key: PublicKey, identity: SpiffeId, life: timedelta, now: datetime, hosts: Sequence[str] = ()
    ) -> x509.Certificate:
        """For both ends of a connection; `hosts` are further names and addresses, of servers. Raises CannotSign.

        Ends with the signer at the latest: what outlives it would be refused all the same.
        """
        end = self.certificate.not_valid_after_utc
        if end <= now:
            raise CannotSign(f"the authority's own certificate has ended at {end:%Y-%m-%d %H:%M:%S} UTC")
        names = [x509.UniformResourceIdentifier(str(identity)), *map(_name, hosts)]
        usages = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        builder = (
            begun(x509.Name([]), self.certificate.subject, key, (now - SKEW, min(now + life, end)))
            # With an empty subject the names are critical (RFC 5280, §4.2.1.6).
            .add_extension(x509.SubjectAlternativeName(names), critical=True)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(key_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
            .add_extension(_signer(self.certificate), critical=False)
        )
        return builder.sign(self.key, hashes.SHA256())

    def chain(self, leaf: x509.Certificate) -> list[str]:
        """In PEM as the CSR service gives it: the leaf, each intermediate, and all roots as the last element."""
        return [*map(certificate_to_pem, (leaf, *self.intermediates)), self.bundle]

    @property
    def bundle(self) -> str:
        """All roots in PEM."""
        return "".join(map(certificate_to_pem, self.roots))


def self_signed(key: PrivateKey, organization: str, now: datetime, life: timedelta = ROOT_LIFE) -> Authority:
    """A new root."""
    name = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization)])
    builder = (
        begun(name, name, key.public_key(), (now - SKEW, now + life))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(key_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    certificate = builder.sign(key, hashes.SHA256())
    return Authority(key, certificate, (), (certificate,))


def _signer(certificate: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    """As the signer calls its own key: whoever made it may have derived that name in another way than we do."""
    try:
        known = certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    except x509.ExtensionNotFound:
        return x509.AuthorityKeyIdentifier.from_issuer_public_key(certificate.public_key())  # type: ignore[arg-type]
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(known)


def _name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)
