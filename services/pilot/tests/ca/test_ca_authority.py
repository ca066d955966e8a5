from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from mizzen.identity.certificate import certificates_from_pem, identity_of
from mizzen.identity.keys import KeyType, new_key
from mizzen.identity.spiffe import SpiffeId
from mizzen.pilot.ca.authority import SKEW, Authority, CannotSign, self_signed

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
DAY = timedelta(days=1)
REVIEWS = SpiffeId("cluster.local", "default", "reviews")


@pytest.mark.parametrize("kind", ["ecdsa", "rsa"])
def test_a_certificate_is_for_both_ends_of_a_connection_of_its_identity(kind: KeyType) -> None:
    authority = self_signed(new_key(kind), "cluster.local", NOW)
    leaf = authority.issue(new_key(kind).public_key(), REVIEWS, DAY, NOW, hosts=("pilot.mesh", "127.0.1.1"))

    assert identity_of(leaf) == REVIEWS
    assert (leaf.not_valid_before_utc, leaf.not_valid_after_utc) == (NOW - SKEW, NOW + DAY)
    policy = PolicyBuilder().store(Store(authority.roots)).time(NOW)
    assert policy.build_client_verifier().verify(leaf, []).chain == [leaf, authority.certificate]
    policy.build_server_verifier(x509.DNSName("pilot.mesh")).verify(leaf, [])
    with pytest.raises(VerificationError):
        policy.build_server_verifier(x509.DNSName("other.mesh")).verify(leaf, [])


def test_nothing_outlives_who_signed_it() -> None:
    authority = self_signed(new_key(), "cluster.local", NOW, life=DAY)
    leaf = authority.issue(new_key().public_key(), REVIEWS, 90 * DAY, NOW)
    assert leaf.not_valid_after_utc == NOW + DAY
    with pytest.raises(CannotSign, match="has ended"):
        authority.issue(new_key().public_key(), REVIEWS, DAY, NOW + DAY)


def test_a_certified_workload_is_no_authority() -> None:
    authority = self_signed(new_key(), "cluster.local", NOW)
    key = new_key()
    leaf = authority.issue(key.public_key(), REVIEWS, DAY, NOW)
    impostor = type(authority)(key, leaf, (leaf,), authority.roots)
    forged = impostor.issue(new_key().public_key(), SpiffeId("cluster.local", "default", "bank"), DAY, NOW)
    verifier = PolicyBuilder().store(Store(authority.roots)).time(NOW).build_client_verifier()
    with pytest.raises(VerificationError):
        verifier.verify(forged, [leaf])


def test_the_signers_key_is_named_as_the_signer_names_it() -> None:
    root, key = self_signed(new_key(), "cluster.local", NOW), new_key()
    # Of other lengths and hashes than SHA-1, as Go and others make them: OpenSSL refuses what names another key.
    named = x509.SubjectKeyIdentifier(b"of another kind")
    signer = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, "plugged in")]))
        .issuer_name(root.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - DAY)
        .not_valid_after(NOW + 100 * DAY)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(named, critical=False)
        .sign(root.key, hashes.SHA256())
    )
    leaf = Authority(key, signer, (signer,), root.roots).issue(new_key().public_key(), REVIEWS, DAY, NOW)
    said = leaf.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
    assert said.key_identifier == named.digest


def test_the_chain_begins_with_the_leaf_and_ends_with_all_roots() -> None:
    authority = self_signed(new_key(), "cluster.local", NOW)
    other = self_signed(new_key(), "cluster.local", NOW)
    both = type(authority)(authority.key, authority.certificate, (), (*authority.roots, *other.roots))
    leaf = both.issue(new_key().public_key(), REVIEWS, DAY, NOW)
    first, last = both.chain(leaf)
    assert certificates_from_pem(first) == [leaf]
    assert certificates_from_pem(last) == [authority.certificate, other.certificate]


def test_what_is_left_of_a_life() -> None:
    authority = self_signed(new_key(), "cluster.local", NOW)
    leaf = authority.issue(new_key().public_key(), REVIEWS, DAY, NOW)
    assert (leaf.not_valid_before_utc, leaf.not_valid_after_utc) == (NOW - SKEW, NOW + DAY)
