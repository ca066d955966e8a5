"""A small authority for tests: roots, and certificates of workloads as the proxy's secrets."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtensionOID

from mizzen.identity.certificate import certificate_to_pem
from mizzen.identity.keys import PrivateKey, key_to_pem, new_key
from mizzen.proxy.engine.tls_plan import SecretPlan

DAY = timedelta(days=1)


class TestAuthority:
    """One root."""

    __test__ = False

    def __init__(self) -> None:
        self._key = new_key()
        self._name = x509.Name([x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, "cluster.local")])
        now = datetime.now(UTC)
        self.root = (
            self._builder(self._key, self._name, now - DAY, now + 10 * DAY)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            # By these, roots of one name are told apart.
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self._key.public_key()), critical=False)
            .sign(self._key, hashes.SHA256())
        )

    def roots(self, *others: TestAuthority) -> SecretPlan:
        """ROOTCA: this root, and those of others."""
        return SecretPlan("ROOTCA", roots="".join(certificate_to_pem(each.root) for each in (self, *others)))

    def secret(self, account: str, ends: timedelta = DAY, *, name: str = "default") -> SecretPlan:
        """A certificate of `spiffe://cluster.local/ns/default/sa/<account>`."""
        identity = f"spiffe://cluster.local/ns/default/sa/{account}"
        names = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(identity)])
        return replace(self._issue(name, names, ends), identity=identity)

    def server(self, *names: str, name: str = "default") -> SecretPlan:
        """A certificate of these DNS names and IP addresses."""
        return self._issue(name, x509.SubjectAlternativeName([_general_name(each) for each in names]), DAY)

    def odd(self, uri: bytes) -> SecretPlan:
        """A certificate of what is no URI."""
        encoded = bytes((0x30, len(uri) + 2, 0x86, len(uri))) + uri
        return self._issue("default", x509.UnrecognizedExtension(ExtensionOID.SUBJECT_ALTERNATIVE_NAME, encoded), DAY)

    def revoked(self, *secrets: SecretPlan) -> str:
        """A list of these certificates, PEM."""
        now = datetime.now(UTC)
        builder = x509.CertificateRevocationListBuilder().issuer_name(self._name).last_update(now - DAY)
        builder = builder.next_update(now + DAY)
        for secret in secrets:
            serial = x509.load_pem_x509_certificate(secret.chain.encode()).serial_number
            revoked = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(now - DAY).build()
            builder = builder.add_revoked_certificate(revoked)
        return builder.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM).decode()

    def _issue(self, name: str, names: x509.ExtensionType, ends: timedelta) -> SecretPlan:
        now, key = datetime.now(UTC), new_key()
        leaf = (
            self._builder(key, x509.Name([]), now - 2 * DAY, now + ends)
            .add_extension(names, critical=True)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        return SecretPlan(name, certificate_to_pem(leaf), key_to_pem(key))

    def _builder(
        self, key: PrivateKey, subject: x509.Name, begins: datetime, ends: datetime
    ) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(begins)
            .not_valid_after(ends)
        )


def _general_name(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(text))
    except ValueError:
        return x509.DNSName(text)
