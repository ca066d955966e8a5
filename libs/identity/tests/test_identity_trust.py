"""Whom a process trusts follows files."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from mizzen.identity.certificate import certificate_to_pem
from mizzen.identity.keeping import trust
from mizzen.identity.keeping.trust import Trust
from mizzen.identity.keys import new_key
from mizzen.runtime import followed

NOW = datetime.now(UTC)


def root(name: str) -> tuple[str, str]:
    """A root, and a list of what it has revoked."""
    key, subject = new_key(), x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, name)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(NOW)
        .not_valid_after(NOW + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    revoked = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(subject)
        .last_update(NOW)
        .next_update(NOW + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    return certificate_to_pem(certificate), revoked.public_bytes(Encoding.PEM).decode()


OLD, _ = root("old")
NEW, REVOKED = root("new")


async def test_a_new_root_and_a_list_of_revoked_certificates_reach_the_workload_by_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(followed, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(trust, "LOOK_SECONDS", 0.01)
    changes: asyncio.Queue[None] = asyncio.Queue()

    async def changed() -> None:
        changes.put_nowait(None)

    path = tmp_path / "root-cert.pem"
    trusted = Trust(path, changed)  # before Pilot has made the authority
    assert (trusted.roots(OLD), trusted.revoked) == (OLD, "")
    path.write_text(OLD)
    assert (trusted.roots(OLD), trusted.revoked) == (OLD, "")
    running = asyncio.create_task(trusted.run())
    try:
        async with asyncio.timeout(20):
            await changes.get()
            path.write_text(OLD + NEW)
            await changes.get()
            assert trusted.roots(OLD) == OLD + NEW
            path.write_text(NEW)
            await changes.get()
            assert trusted.roots(OLD) == OLD + NEW  # by the old one the own certificate is signed
            (tmp_path / "ca-crl.pem").write_text(REVOKED)
            await changes.get()
            assert trusted.revoked == REVOKED
            path.write_text("nonsense")
            (tmp_path / "ca-crl.pem").unlink()
            await changes.get()
            assert (trusted.roots(NEW), trusted.revoked) == (NEW, "")
            path.unlink()
            assert trusted.roots(OLD) == OLD + NEW
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


@pytest.mark.parametrize("bad", [REVOKED, OLD * 101], ids=["a list of what was revoked", "more than are read"])
async def test_a_file_without_roots_that_can_be_used_takes_nothing_away(
    bad: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(followed, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(trust, "LOOK_SECONDS", 0.01)
    changes: asyncio.Queue[None] = asyncio.Queue()

    async def changed() -> None:
        trusted.roots(OLD)
        changes.put_nowait(None)

    path = tmp_path / "root-cert.pem"
    path.write_text(NEW)
    trusted = Trust(path, changed)
    running = asyncio.create_task(trusted.run())
    try:
        async with asyncio.timeout(20):
            path.write_text(bad)
            while "the version before it stays in use" not in caplog.text:
                assert not running.done()
                await asyncio.sleep(0.01)
            assert trusted.roots(OLD) == OLD + NEW
            path.write_text(OLD)
            await changes.get()
            assert trusted.roots(OLD) == OLD
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
