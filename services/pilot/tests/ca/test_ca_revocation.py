from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from mizzen.identity.keys import new_key
from mizzen.identity.spiffe import SpiffeId
from mizzen.pilot.ca.authority import Authority, self_signed
from mizzen.pilot.ca.revocation import MAX_CHARACTERS, NOTHING_REVOKED, read_revocations
from mizzen.runtime.errors import StartError

NOW = datetime.now(UTC)
DAY = timedelta(days=1)
REVIEWS = SpiffeId("cluster.local", "default", "reviews")


def below(parent: Authority, name: str) -> Authority:
    """An intermediate."""
    key = new_key()
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, name)]))
        .issuer_name(parent.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - DAY)
        .not_valid_after(NOW + 100 * DAY)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(parent.key, hashes.SHA256())
    )
    return Authority(key, certificate, (certificate, *parent.intermediates), parent.roots)


ROOT = self_signed(new_key(), "root", NOW - DAY)
SIGNER = below(ROOT, "signer")
NAMESAKE = below(ROOT, "signer")
STRANGER = below(ROOT, "stranger")
KNOWN = (SIGNER.certificate, *SIGNER.intermediates, *SIGNER.roots)


def leaf(authority: Authority = SIGNER) -> x509.Certificate:
    return authority.issue(new_key().public_key(), REVIEWS, DAY, NOW)


GOOD, BAD = leaf(), leaf()


def test_without_lists_everybody_is_good(revoked: Callable[..., str]) -> None:
    assert read_revocations("\n", SIGNER, "ca-crl.pem", NOW) is NOTHING_REVOKED
    assert NOTHING_REVOKED.vouch_for(leaf(STRANGER), KNOWN)


@pytest.mark.parametrize(
    ("lists", "certificate", "good"),
    [
        ([(ROOT, []), (SIGNER, [BAD])], GOOD, True),
        ([(ROOT, []), (SIGNER, [BAD])], BAD, False),
        ([(SIGNER, [BAD]), (ROOT, [])], BAD, False),
        ([(ROOT, [SIGNER.certificate]), (SIGNER, [])], GOOD, False),
        ([(ROOT, [ROOT.certificate]), (SIGNER, [])], GOOD, False),
        ([(ROOT, [BAD]), (SIGNER, [])], BAD, True),  # the root may not revoke what the signer has signed
        ([(ROOT, []), (SIGNER, []), (NAMESAKE, [BAD])], BAD, True),  # nor somebody else of the signer's name
        ([(ROOT, []), (SIGNER, [])], leaf(STRANGER), False),
        ([(ROOT, []), (SIGNER, [])], leaf(NAMESAKE), False),
    ],
)
def test_who_is_vouched_for(
    lists: Sequence[tuple[Authority, list[x509.Certificate]]],
    certificate: x509.Certificate,
    good: bool,
    revoked: Callable[..., str],
) -> None:
    text = "".join(revoked(authority, *certificates) for authority, certificates in lists)
    found = read_revocations(text, SIGNER, "ca-crl.pem", NOW)
    assert found.pem == text
    assert found.vouch_for(certificate, KNOWN) is good


def test_what_is_no_list_is_an_error_that_says_so(revoked: Callable[..., str]) -> None:
    whole = revoked(ROOT) + revoked(SIGNER)
    for text, words in (
        ("nonsense", "ca-crl.pem: not revocation lists in PEM"),
        (whole.replace("M", "N", 1), "ca-crl.pem: not revocation lists in PEM"),
        (revoked(ROOT), "ca-crl.pem has no list that 'O=signer' has signed"),
        (revoked(SIGNER), "ca-crl.pem has no list that 'O=root' has signed"),
        (revoked(ROOT) + revoked(NAMESAKE), "ca-crl.pem has no list that 'O=signer' has signed"),
        (" " * MAX_CHARACTERS + whole, "longer than"),
    ):
        with pytest.raises(StartError, match=words):
            read_revocations(text, SIGNER, "ca-crl.pem", NOW)


def test_a_list_that_has_ended_is_kept_and_told_of(
    revoked: Callable[..., str], caplog: pytest.LogCaptureFixture
) -> None:
    text = revoked(ROOT) + revoked(SIGNER, BAD, ends=-DAY)
    assert not read_revocations(text, SIGNER, "ca-crl.pem", NOW).vouch_for(BAD, KNOWN)
    assert "the list of 'O=signer' has ended" in caplog.text
    caplog.clear()
    read_revocations(text + revoked(SIGNER, BAD), SIGNER, "ca-crl.pem", NOW)
    assert not caplog.messages
