"""What a list of revoked certificates says of a certificate."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from mizzen.identity.keys import new_key
from mizzen.identity.revocation import RevocationList, lists_from_pem, objection

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
KEY = new_key()
ENDED = "its authority has no list of revoked certificates, or none that has not ended"


def name(organization: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, organization)])


def certificate(serial: int, issuer: str = "mesh") -> x509.Certificate:
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([]))
        .issuer_name(name(issuer))
        .public_key(KEY.public_key())
        .serial_number(serial)
        .not_valid_before(NOW)
        .not_valid_after(NOW + HOUR)
        .sign(KEY, hashes.SHA256())
    )


def listed(*serials: int, issuer: str = "mesh", ends: datetime = NOW + HOUR) -> str:
    builder = x509.CertificateRevocationListBuilder().issuer_name(name(issuer)).last_update(NOW - HOUR)
    for serial in serials:
        revoked = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(NOW - HOUR).build()
        builder = builder.add_revoked_certificate(revoked)
    return builder.next_update(ends).sign(KEY, hashes.SHA256()).public_bytes(Encoding.PEM).decode()


@pytest.mark.parametrize(
    ("lists", "reason"),
    [
        ("", ""),
        (listed(7), ""),
        (listed(1, 7), "it was revoked"),
        ("# what was stolen\n" + listed(7) + listed(1), "it was revoked"),
        (listed(issuer="other") + listed(), ""),
        (listed(1, issuer="other"), ENDED),
        (listed(7, ends=NOW), ENDED),
        (listed(7, ends=NOW) + listed(7), ""),
        (listed(1, ends=NOW), "it was revoked"),
    ],
)
def test_what_lists_say(lists: str, reason: str) -> None:
    known = list(map(RevocationList.of, lists_from_pem(lists)))
    assert objection(known, certificate(1), NOW) == reason


def test_a_list_that_cannot_be_read_is_none() -> None:
    with pytest.raises(ValueError, match="PEM"):
        lists_from_pem("-----BEGIN X509 CRL-----\n!\n-----END X509 CRL-----")
