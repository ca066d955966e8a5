import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from mizzen.identity.certificate import certificate_to_pem
from mizzen.identity.keys import key_to_pem, new_key
from mizzen.identity.spiffe import SpiffeId
from mizzen.pilot.ca.authority import Authority, self_signed
from mizzen.pilot.ca.folder import load_or_create
from mizzen.pilot.ca.layout import CHAIN, KEY, ROOTS, SIGNER
from mizzen.runtime.errors import StartError

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
DAY = timedelta(days=1)


def intermediate(parent: Authority, name: str) -> Authority:
    key = new_key()
    subject = x509.Name([x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, name)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(parent.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - DAY)
        .not_valid_after(NOW + 100 * DAY)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(parent.key, hashes.SHA256())
    )
    return Authority(key, certificate, (certificate, *parent.intermediates), parent.roots)


def plug_in(folder: Path, authority: Authority) -> None:
    folder.mkdir(exist_ok=True)
    (folder / KEY).write_text(key_to_pem(authority.key))
    (folder / SIGNER).write_text(certificate_to_pem(authority.certificate))
    (folder / CHAIN).write_text("".join(map(certificate_to_pem, authority.intermediates)))
    (folder / ROOTS).write_text(authority.bundle)


def test_a_root_is_made_once_and_its_key_is_nobody_elses_to_read(tmp_path: Path) -> None:
    folder = tmp_path / "ca"
    made = load_or_create(folder, "cluster.local", NOW).authority
    again = load_or_create(folder, "cluster.local", NOW + DAY).authority
    assert made.certificate == again.certificate
    assert made.roots == (made.certificate,)
    assert made.intermediates == ()
    assert stat.S_IMODE((folder / KEY).stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_start_that_was_cut_short_goes_on_with_its_key(tmp_path: Path) -> None:
    made = load_or_create(tmp_path, "cluster.local", NOW).authority
    (tmp_path / SIGNER).unlink()
    again = load_or_create(tmp_path, "cluster.local", NOW).authority
    assert again.key.public_key() == made.key.public_key()


def test_a_plugged_in_authority_gives_its_whole_path(tmp_path: Path) -> None:
    root = self_signed(new_key(), "acme", NOW)
    upper = intermediate(root, "upper")
    lower = intermediate(upper, "lower")
    plug_in(tmp_path, lower)
    authority = load_or_create(tmp_path, "cluster.local", NOW).authority
    assert authority.intermediates == (lower.certificate, upper.certificate)
    leaf = authority.issue(new_key().public_key(), SpiffeId("acme", "default", "reviews"), DAY, NOW)
    assert len(authority.chain(leaf)) == 4


def test_wrong_files_are_named(tmp_path: Path) -> None:
    root = self_signed(new_key(), "acme", NOW)
    other = self_signed(new_key(), "other", NOW)
    lower = intermediate(root, "lower")
    leaf = root.issue(new_key().public_key(), SpiffeId("acme", "default", "reviews"), DAY, NOW)

    def fails(**changed: str) -> str:
        plug_in(tmp_path, lower)
        for name, text in changed.items():
            (tmp_path / {"key": KEY, "signer": SIGNER, "chain": CHAIN, "roots": ROOTS}[name]).write_text(text)
        with pytest.raises(StartError) as caught:
            load_or_create(tmp_path, "acme", NOW)
        return str(caught.value)

    assert f"{KEY} is not the key of" in fails(key=key_to_pem(new_key()))
    assert f"{KEY}: not an unencrypted private key" in fails(key="nonsense")
    assert f"{ROOTS}: not certificates in PEM" in fails(roots="")
    assert f"{CHAIN}: '' is no authority's certificate" in fails(chain=certificate_to_pem(leaf))
    assert f"leads from 'O=lower' to {tmp_path / ROOTS}" in fails(roots=other.bundle)


def test_an_authority_that_has_ended_is_refused(tmp_path: Path) -> None:
    plug_in(tmp_path, self_signed(new_key(), "acme", NOW - 2 * DAY, life=DAY))
    with pytest.raises(StartError, match="has ended"):
        load_or_create(tmp_path, "acme", NOW)
