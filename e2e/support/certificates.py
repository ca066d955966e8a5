"""An authority of a test, and what it issues, as files."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

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

    def issue(self, *names: str, into: str = "", days: int = 1) -> tuple[Path, Path]:
        """The files of a certificate of these DNS names and URIs, and of its key.

        They are called `into`, else as the first name. It is good for `days` from now.
        """
        key = new_key()
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, names[0])])
        alternatives = x509.SubjectAlternativeName([_general_name(name) for name in names])
        builder = self._builder(key, subject, days).add_extension(alternatives, critical=False)
        leaf = builder.sign(self._key, hashes.SHA256())
        certificate, private = (self._folder / f"{into or names[0]}.{kind}" for kind in ("crt", "key"))
        write_atomic(certificate, certificate_to_pem(leaf))
        write_atomic(private, key_to_pem(key))
        return certificate, private

    def revoke(self, certificate: Path, into: Path) -> None:
        """A list with this certificate alone."""
        now = datetime.now(UTC)
        serial = x509.load_pem_x509_certificate(certificate.read_bytes()).serial_number
        revoked = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(now - DAY).build()
        builder = x509.CertificateRevocationListBuilder().issuer_name(self._name).add_revoked_certificate(revoked)
        signed = builder.last_update(now - DAY).next_update(now + DAY).sign(self._key, hashes.SHA256())
        write_atomic(into, signed.public_bytes(Encoding.PEM))

    def _builder(self, key: PrivateKey, subject: x509.Name, days: int = 1) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - 2 * DAY)
            .not_valid_after(now + days * DAY)
        )


def _general_name(text: str) -> x509.GeneralName:
    return x509.UniformResourceIdentifier(text) if "://" in text else x509.DNSName(text)


def tls_secret(name: str, namespace: str = "istio-system", **values: Path) -> str:
    """A Secret of these files; in names of values, `_` stands for a dot."""
    data = {key.replace("_", "."): file.read_text() for key, file in values.items()}
    metadata = {"name": name, "namespace": namespace}
    return yaml.safe_dump({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": data})
