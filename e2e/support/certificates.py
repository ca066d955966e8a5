"""An authority of a test, and what it issues, as files."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from mizzen.identity.certificate import certificate_to_pem
from mizzen.identity.keys import PrivateKey, key_to_pem, new_key
from mizzen.runtime.files import write_atomic

DAY = timedelta(days=1)


class Authority:
    """One root; `roots` is its file."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._key = new_key()
        self._name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        basic = x509.BasicConstraints(ca=True, path_length=None)
        root = self._builder(self._key, self._name).add_extension(basic, critical=True)
        self.pem = certificate_to_pem(root.sign(self._key, hashes.SHA256()))
        self.roots = folder / f"{name}.pem"
        write_atomic(self.roots, self.pem)

    def issue(self, *names: str, into: str = "") -> tuple[Path, Path]:
        """The files of a certificate of these DNS names and its key; `into` is what they are called, else the first."""
        key = new_key()
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, names[0])])
        alternatives = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
        leaf = self._builder(key, subject).add_extension(alternatives, critical=False).sign(self._key, hashes.SHA256())
        certificate, private = (self._folder / f"{into or names[0]}.{kind}" for kind in ("crt", "key"))
        write_atomic(certificate, certificate_to_pem(leaf))
        write_atomic(private, key_to_pem(key))
        return certificate, private

    def _builder(self, key: PrivateKey, subject: x509.Name) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - DAY)
            .not_valid_after(now + DAY)
        )
