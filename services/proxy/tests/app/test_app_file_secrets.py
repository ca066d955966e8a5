"""Secrets in files: by which names they are known, and what happens when the files change."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from tls_authority import TestAuthority

from mizzen.proxy.app.secrets.files import FileSecrets, files_of, read
from mizzen.proxy.engine.tls_plan import SecretPlan
from mizzen.proxy.snapshot.result import Invalid
from mizzen.runtime import followed

ROOT = TestAuthority()


def write_pair(folder: Path, account: str = "ingress") -> str:
    """The name of the secret."""
    secret = ROOT.secret(account)
    (folder / "tls.crt").write_text(secret.chain)
    (folder / "tls.key").write_text(secret.key)
    return f"file-cert:{folder}/tls.crt~{folder}/tls.key"


@pytest.mark.parametrize(
    ("name", "paths"),
    [
        ("file-cert:/a/tls.crt~/a/tls.key", ["/a/tls.crt", "/a/tls.key"]),
        ("file-cert:/a/tls.crt", []),
        ("file-cert:~/a/tls.key", []),
        ("file-cert:/a~/b~/c", []),
        ("file-root:/a/ca.pem", ["/a/ca.pem"]),
        ("file-root:", []),
        ("file-crl:/a/crl.pem", ["/a/crl.pem"]),
        ("kubernetes://shop", []),
    ],
)
def test_a_name_says_which_files(name: str, paths: list[str]) -> None:
    assert [str(path) for path in files_of(name)] == paths


def test_the_systems_roots_have_a_name() -> None:
    (path,) = files_of("file-root:system")
    assert path.is_absolute()
    assert path.name != "system"


def test_a_pair_is_read_and_known_by_its_uri(tmp_path: Path) -> None:
    plan = read(write_pair(tmp_path))
    assert plan.identity == "spiffe://cluster.local/ns/default/sa/ingress"
    assert "PRIVATE KEY" in plan.key
    assert "PRIVATE KEY" not in repr(plan)


@pytest.mark.parametrize(
    ("crt", "key", "reason"),
    [
        (None, "", "No such file"),
        (b"no certificate", "", "no certificate with its key"),
        (b"\xff\xfe", "", "is not text"),
        (ROOT.secret("a").chain.encode(), ROOT.secret("b").key, "key values mismatch"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(tmp_path: Path, crt: bytes | None, key: str, reason: str) -> None:
    if crt is not None:
        (tmp_path / "tls.crt").write_bytes(crt)
    (tmp_path / "tls.key").write_text(key)
    with pytest.raises(Invalid) as error:
        read(f"file-cert:{tmp_path}/tls.crt~{tmp_path}/tls.key")
    assert reason in error.value.reason


@pytest.mark.parametrize(
    ("path", "reason"),
    [("/dev/ptmx", "Not a regular file"), ("/etc", "Not a regular file"), ("/a\0b", "null byte")],
)
def test_a_name_of_what_is_no_file_stops_nobody(path: str, reason: str) -> None:
    """Whoever writes a DestinationRule chooses it, for all proxies that see it."""
    secrets = FileSecrets(Heard().changed)
    assert secrets.want([f"file-root:{path}"]) == ()
    assert reason in secrets.errors[f"file-root:{path}"]


def test_nobody_is_asked_for_the_password_of_a_key(tmp_path: Path) -> None:
    name = write_pair(tmp_path)
    key = load_pem_private_key((tmp_path / "tls.key").read_bytes(), None)
    locked = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))
    (tmp_path / "tls.key").write_bytes(locked)
    with pytest.raises(Invalid):
        read(name)


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(followed, "LOOK_SECONDS", 0.001)


class Heard:
    """What a user of the secrets is told; refuses as often as it should."""

    def __init__(self, refusals: int = 0) -> None:
        self.plans: asyncio.Queue[SecretPlan] = asyncio.Queue()
        self._refusals = refusals

    async def changed(self, plans: tuple[SecretPlan, ...]) -> None:
        if self._refusals:
            self._refusals -= 1
            raise RuntimeError("not now")
        for plan in plans:
            self.plans.put_nowait(plan)

    async def next(self) -> SecretPlan:
        async with asyncio.timeout(20):
            return await self.plans.get()


@pytest.mark.usefixtures("looks")
@pytest.mark.parametrize("refusals", [0, 3])
async def test_new_files_are_told_of(tmp_path: Path, refusals: int) -> None:
    heard = Heard(refusals)
    secrets = FileSecrets(heard.changed)
    name = write_pair(tmp_path)
    (first,) = secrets.want([name])
    assert secrets.want([name]) == ()
    watching = asyncio.create_task(secrets.watch())
    write_pair(tmp_path)
    second = await heard.next()
    assert second.name == name
    assert second.key != first.key
    watching.cancel()
    with suppress(asyncio.CancelledError):
        await watching


@pytest.mark.usefixtures("looks")
async def test_a_file_that_goes_bad_leaves_the_last_good_secret(tmp_path: Path, caplog: Any) -> None:
    heard = Heard()
    secrets = FileSecrets(heard.changed)
    name = write_pair(tmp_path)
    (first,) = secrets.want([name])
    watching = asyncio.create_task(secrets.watch())
    (tmp_path / "tls.crt").write_text("half a file")
    async with asyncio.timeout(20):
        while name not in secrets.errors:  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.001)
    assert secrets.current[name] == first
    assert "the version before it stays in use" in caplog.text
    assert "PRIVATE" not in caplog.text
    write_pair(tmp_path)
    await heard.next()
    assert secrets.errors == {}
    watching.cancel()
    with suppress(asyncio.CancelledError):
        await watching


async def test_what_nobody_wants_any_more_is_forgotten(tmp_path: Path) -> None:
    secrets = FileSecrets(Heard().changed)
    name = write_pair(tmp_path)
    assert len(secrets.want([name, "file-root:/nowhere/ca.pem"])) == 1
    assert "No such file" in secrets.errors["file-root:/nowhere/ca.pem"]
    assert secrets.want([]) == ()
    assert secrets.current == {}
    assert secrets.errors == {}
