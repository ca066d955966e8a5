"""The cluster's certificate authority."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

VALID = timedelta(days=1)


class Authority:
    """Signs certificates and writes them, with their keys, into a folder: NAME.crt and NAME.key."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "e2e")])
        constraints = x509.BasicConstraints(ca=True, path_length=None)
        self.file = self._write("ca", self._key, self._builder(self._name, self._key).add_extension(constraints, True))

    def server(self, name: str, *others: str) -> tuple[str, str]:
        """Certificate and key of a server on 127.0.0.1, and at other names and addresses."""
        names = [x509.DNSName(each) for each in ("localhost", *others) if not _is_address(each)]
        addresses = [x509.IPAddress(IPv4Address(each)) for each in ("127.0.0.1", *others) if _is_address(each)]
        alternatives = x509.SubjectAlternativeName([*names, *addresses])
        return self._issue(name, (), ExtendedKeyUsageOID.SERVER_AUTH, alternatives)

    def client(self, user: str, *groups: str) -> tuple[str, str]:
        """Certificate and key by which the API server knows a user and its groups."""
        return self._issue(user, groups, ExtendedKeyUsageOID.CLIENT_AUTH)

    def key_pair(self, name: str) -> tuple[str, str]:
        """A private key and a certificate that holds its public one: what signs ServiceAccounts' tokens."""
        certificate, key = self._issue(name, (), ExtendedKeyUsageOID.CLIENT_AUTH)
        return key, certificate

    def _issue(
        self,
        name: str,
        groups: Sequence[str],
        usage: x509.ObjectIdentifier,
        extension: x509.ExtensionType | None = None,
    ) -> tuple[str, str]:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name(
            [
                *(x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups),
                x509.NameAttribute(NameOID.COMMON_NAME, name),
            ]
        )
        builder = self._builder(subject, key).add_extension(x509.ExtendedKeyUsage([usage]), False)
        if extension:
            builder = builder.add_extension(extension, False)
        file = name.replace(":", "-")
        return self._write(file, key, builder), str(self._folder / f"{file}.key")

    def _builder(self, subject: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(minutes=5))
            .not_valid_after(now + VALID)
        )

    def _write(self, file: str, key: ec.EllipticCurvePrivateKey, builder: x509.CertificateBuilder) -> str:
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        (self._folder / f"{file}.key").write_bytes(private)
        certificate = self._folder / f"{file}.crt"
        certificate.write_bytes(builder.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM))
        return str(certificate)


def _is_address(text: str) -> bool:
    return text.replace(".", "").isdigit()
