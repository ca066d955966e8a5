"""A small authority for tests: roots, and certificates of workloads as the proxy's secrets."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes

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
        now, key = datetime.now(UTC), new_key()
        identity = f"spiffe://cluster.local/ns/default/sa/{account}"
        names = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(identity)])
        leaf = (
            self._builder(key, x509.Name([]), now - 2 * DAY, now + ends)
            .add_extension(names, critical=True)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        return SecretPlan(name, certificate_to_pem(leaf), key_to_pem(key), identity=identity)

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
