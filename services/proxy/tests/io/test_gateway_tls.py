"""A gateway's TLS with clients of the standard library: who is served with which certificate, and who is let in."""

from __future__ import annotations

import asyncio
import gc
import json
import socket
import ssl
import time
from base64 import b64encode
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from tls_authority import TestAuthority
from tls_proxies import Proxy, application, ask, http, proxy, static, tcp

from mizzen.identity.inmemory import load_pair
from mizzen.proxy.engine.match_plan import StringMatch
from mizzen.proxy.engine.plan import (
    AccessLogPlan,
    ChainMatch,
    ChainPlan,
    ChoicePlan,
    ClientCertPlan,
    HttpPlan,
    ListenerPlan,
    SniffPlan,
)
from mizzen.proxy.engine.tls_plan import NameMatch, SecretPlan, ServerTlsPlan, TlsPlan
from mizzen.proxy.io.intake import Intake

ROOT, STRANGER = TestAuthority(), TestAuthority()
SHOP = ROOT.server("shop.example", name="kubernetes://shop")
WILD = ROOT.server("*.bank.example", name="kubernetes://bank")
CLIENT = ROOT.secret("client")
CA = replace(ROOT.roots(), name="kubernetes://shop-cacert")
GET = b"GET / HTTP/1.1\r\nHost: shop.example\r\nX-Forwarded-Client-Cert: forged\r\n\r\n"
SIMPLE = ServerTlsPlan(TlsPlan("kubernetes://shop", protocols=("http/1.1",)))
OPTIONAL = replace(SIMPLE, common=replace(SIMPLE.common, roots=CA.name))
MUTUAL = replace(OPTIONAL, requires_certificate=True)


def chain(name: str, tls: ServerTlsPlan | None, *, handler: Any = None) -> ChainPlan:
    return ChainPlan(name, ChainMatch(server_names=(name,), transport="tls"), handler or http("app"), tls)


def gateway(*chains: ChainPlan) -> ListenerPlan:
    return ListenerPlan("gw", "127.0.0.1", 1, "outbound", ChoicePlan(chains), sniff=SniffPlan(tls=((1, 65536),)))


@asynccontextmanager
async def serving(
    *chains: ChainPlan, secrets: Iterable[SecretPlan] = (SHOP, WILD, CA), answer: bytes = b"hello"
) -> AsyncIterator[tuple[Proxy, list[bytes]]]:
    """The gateway, and the heads that the application got."""
    async with application(answer) as (port, heads), proxy(gateway(*chains), static("app", port), *secrets) as running:
        yield running, heads


def client(certificate: SecretPlan | None = None, *protocols: str, roots: TestAuthority = ROOT) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=roots.roots().roots)
    context.check_hostname = False
    if certificate is not None:
        load_pair(context, certificate.chain, certificate.key)
    if protocols:
        context.set_alpn_protocols(list(protocols))
    return context


async def fetch(port: int, name: str, context: ssl.SSLContext) -> tuple[int, Any]:
    """Status, and the TLS of the connection; 0 and why there was no answer."""
    try:
        async with asyncio.timeout(20):
            reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname=name)
    except OSError as error:
        return 0, str(error)
    try:
        status, _ = await ask(reader, writer, GET)
    except (OSError, asyncio.IncompleteReadError) as error:
        return 0, str(error)
    else:
        return status, writer.get_extra_info("ssl_object")
    finally:
        writer.close()
        with suppress(OSError):  # what TLS 1.3 says of a client's certificate comes after its handshake
            await writer.wait_closed()


@pytest.mark.parametrize(
    ("name", "secret"), [("shop.example", SHOP), ("a.bank.example", WILD), ("A.Bank.Example", WILD)]
)
async def test_the_name_that_a_client_asks_for_decides_on_the_certificate(name: str, secret: SecretPlan) -> None:
    bank = ServerTlsPlan(TlsPlan(WILD.name))
    async with serving(chain("shop.example", SIMPLE), chain("*.bank.example", bank)) as (running, _):
        status, tls = await fetch(running.port, name, client())
        assert status == 200
        assert tls.getpeercert(True) == ssl.PEM_cert_to_DER_cert(secret.chain)


async def test_a_name_of_nobody_is_refused() -> None:
    async with serving(chain("shop.example", SIMPLE)) as (running, heads):
        assert (await fetch(running.port, "other.example", client()))[0] == 0
        assert running.count("no_filter_chain_match") == 1
        assert heads == []


async def test_http_2_is_not_offered() -> None:
    async with serving(chain("shop.example", SIMPLE)) as (running, _):
        status, tls = await fetch(running.port, "shop.example", client(None, "h2", "http/1.1"))
        assert (status, tls.selected_alpn_protocol()) == (200, "http/1.1")


async def test_versions_and_ciphers_are_the_plans() -> None:
    common = replace(SIMPLE.common, highest="1.2", ciphers=("ECDHE-ECDSA-AES128-GCM-SHA256",))
    async with serving(chain("shop.example", replace(SIMPLE, common=common))) as (running, _):
        status, tls = await fetch(running.port, "shop.example", client())
        assert (status, tls.version(), tls.cipher()[0]) == (200, "TLSv1.2", "ECDHE-ECDSA-AES128-GCM-SHA256")
        assert running.count("ssl.versions.TLSv1.2") == 1
        assert running.count("ssl.ciphers.ECDHE-ECDSA-AES128-GCM-SHA256") == 1


async def test_a_version_below_the_lowest_is_an_error_of_the_connection() -> None:
    modern = replace(SIMPLE, common=replace(SIMPLE.common, lowest="1.3"))
    old = client()
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    async with serving(chain("shop.example", modern)) as (running, _):
        assert (await fetch(running.port, "shop.example", old))[0] == 0
        assert running.count("ssl.connection_error") == 1


async def test_passthrough_leaves_tls_to_the_application() -> None:
    inner = ROOT.server("pass.example")
    own = ServerTlsPlan(TlsPlan(inner.name))
    behind = gateway(chain("pass.example", own))
    async with (
        application() as (port, heads),
        proxy(behind, static("app", port), inner) as ends,
        proxy(gateway(chain("pass.example", None, handler=tcp("behind"))), static("behind", ends.port)) as passes,
    ):
        status, tls = await fetch(passes.port, "pass.example", client())
        assert status == 200
        assert tls.getpeercert(True) == ssl.PEM_cert_to_DER_cert(inner.chain)
        assert (passes.count("ssl.handshake"), ends.count("ssl.handshake")) == (0, 1)
        assert len(heads) == 1


@pytest.mark.parametrize(("name", "status"), [("outbound_.9080_._.reviews", 200), ("outbound_.9080_._.nobody", 0)])
async def test_auto_passthrough_goes_where_the_name_says(name: str, status: int) -> None:
    own = ServerTlsPlan(TlsPlan(SHOP.name))
    everything = ChainPlan("", ChainMatch(transport="tls"), replace(tcp("BlackHole"), by_server_name=True))
    async with (
        application() as (port, _),
        proxy(gateway(ChainPlan("in", ChainMatch(), http("app"), own)), static("app", port), SHOP) as ends,
        proxy(gateway(everything), static("outbound_.9080_._.reviews", ends.port)) as passes,
    ):
        assert (await fetch(passes.port, name, client()))[0] == status
        assert passes.count("downstream_cx_no_route", "tcp") == int(not status)


def digests(of: SecretPlan) -> dict[str, tuple[str, ...]]:
    """Both kinds, as plans have them."""
    certificate = x509.load_pem_x509_certificate(of.chain.encode())
    key = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return {
        "digests": (sha256(certificate.public_bytes(Encoding.DER)).hexdigest(),),
        "key_digests": (b64encode(sha256(key).digest()).decode(),),
    }


REVOKED = replace(CA, crl=ROOT.revoked(CLIENT))
OTHERS_REVOKED = replace(CA, crl=ROOT.revoked(ROOT.secret("other")))
IS_CLIENT = (NameMatch("URI", StringMatch("suffix", "/sa/client")),)
IS_OTHER = (NameMatch("URI", StringMatch("suffix", "/sa/other")), NameMatch("DNS", StringMatch("exact", "a")))


@pytest.mark.parametrize(
    ("tls", "shown", "roots", "verdict"),
    [
        (MUTUAL, CLIENT, CA, ""),
        (MUTUAL, None, CA, "fail_verify_no_cert"),
        (MUTUAL, STRANGER.secret("client"), CA, "fail_verify_error"),
        (OPTIONAL, None, CA, ""),
        (OPTIONAL, CLIENT, CA, ""),
        (OPTIONAL, STRANGER.secret("client"), CA, "fail_verify_error"),
        (MUTUAL, CLIENT, REVOKED, "fail_verify_error"),
        (MUTUAL, CLIENT, OTHERS_REVOKED, ""),
        (replace(MUTUAL, common=replace(MUTUAL.common, only_leaf_crl=True)), CLIENT, REVOKED, "fail_verify_error"),
        (replace(MUTUAL, common=replace(MUTUAL.common, names=IS_CLIENT)), CLIENT, CA, ""),
        (replace(MUTUAL, common=replace(MUTUAL.common, names=IS_OTHER)), CLIENT, CA, "fail_verify_san"),
        (replace(MUTUAL, common=replace(MUTUAL.common, digests=digests(CLIENT)["digests"])), CLIENT, CA, ""),
        (replace(MUTUAL, common=replace(MUTUAL.common, key_digests=digests(CLIENT)["key_digests"])), CLIENT, CA, ""),
        (replace(MUTUAL, common=replace(MUTUAL.common, **digests(SHOP))), CLIENT, CA, "fail_verify_cert_hash"),
    ],
    ids=[
        "mutual",
        "none where one must be",
        "of another root",
        "none where one may be",
        "one where one may be",
        "a bad one where none need be",
        "revoked",
        "another one is revoked",
        "revoked, only leaves are looked up",
        "the right name",
        "another name",
        "the right certificate",
        "the right key",
        "another certificate",
    ],
)
@pytest.mark.parametrize("version", ["1.2", "1.3"])
async def test_who_is_let_in(tls: ServerTlsPlan, shown: Any, roots: SecretPlan, verdict: str, version: Any) -> None:
    tls = replace(tls, common=replace(tls.common, highest=version))
    async with serving(chain("shop.example", tls), secrets=(SHOP, roots)) as (running, heads):
        status, _ = await fetch(running.port, "shop.example", client(shown))
        assert status == (0 if verdict else 200)
        assert len(heads) == (0 if verdict else 1)
        failures = {name: running.count(f"ssl.{name}") for name in VERDICTS}
        assert failures == {name: int(name == verdict) for name in VERDICTS}


VERDICTS = ("connection_error", "fail_verify_no_cert", "fail_verify_error", "fail_verify_san", "fail_verify_cert_hash")


async def test_lists_of_revoked_certificates_may_come_by_themselves() -> None:
    tls = replace(MUTUAL, common=replace(MUTUAL.common, crl="file-crl:/a"))
    lists = SecretPlan("file-crl:/a", crl=ROOT.revoked(CLIENT))
    async with serving(chain("shop.example", tls), secrets=(SHOP, CA, lists)) as (running, _):
        assert (await fetch(running.port, "shop.example", client(CLIENT)))[0] == 0
        await running.apply(replace(lists, crl=ROOT.revoked()))
        assert (await fetch(running.port, "shop.example", client(CLIENT)))[0] == 200


async def test_a_new_certificate_is_shown_to_the_next_connection_and_ends_none() -> None:
    async with serving(chain("shop.example", SIMPLE)) as (running, heads):
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", running.port, ssl=client(), server_hostname="shop.example"
        )
        assert (await ask(reader, writer))[0] == 200
        renewed = ROOT.server("shop.example", name=SHOP.name)
        await running.apply(renewed)
        assert (await ask(reader, writer))[0] == 200
        _, tls = await fetch(running.port, "shop.example", client())
        assert tls.getpeercert(True) == ssl.PEM_cert_to_DER_cert(renewed.chain)
        writer.close()
        await writer.wait_closed()
        assert len(heads) == 3


async def test_what_was_read_to_choose_a_chain_is_not_kept() -> None:
    async with serving(chain("shop.example", SIMPLE)) as (running, _):
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", running.port, ssl=client(), server_hostname="shop.example"
        )
        assert (await ask(reader, writer))[0] == 200
        gc.collect()
        assert not [each for each in gc.get_objects() if isinstance(each, Intake)]
        writer.close()
        await writer.wait_closed()


async def test_who_has_shown_no_certificate_does_not_go_on_when_one_is_required() -> None:
    async with serving(chain("shop.example", OPTIONAL)) as (running, heads):
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", running.port, ssl=client(), server_hostname="shop.example"
        )
        assert (await ask(reader, writer))[0] == 200
        await running.apply(gateway(chain("shop.example", MUTUAL)))
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            await ask(reader, writer)
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
        assert len(heads) == 1
        assert (await fetch(running.port, "shop.example", client(CLIENT)))[0] == 200


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_certificate_that_has_ended_lives_on_in_no_session(version: Any, monkeypatch: Any) -> None:
    context = client(CLIENT)
    context.maximum_version = version
    async with serving(chain("shop.example", MUTUAL)) as (running, heads):
        _, session = await asyncio.to_thread(resume, running.port, context, None)
        assert (await asyncio.to_thread(resume, running.port, context, session))[0] == (True, True)
        later = time.time() + 2 * 86_400
        monkeypatch.setattr("mizzen.proxy.io.tls.time", SimpleNamespace(time=lambda: later))
        assert (await asyncio.to_thread(resume, running.port, context, session))[0] == (True, False)
        assert running.count("ssl.fail_verify_error") == 1
        assert len(heads) == 2


def resume(port: int, context: ssl.SSLContext, session: Any) -> tuple[tuple[bool, bool], Any]:
    """Whether a session was resumed and a request served, and the session."""
    answer = b""
    with (
        socket.create_connection(("127.0.0.1", port), timeout=20) as raw,
        context.wrap_socket(raw, server_hostname="shop.example", session=session) as tls,
    ):
        with suppress(OSError):
            tls.sendall(GET)
            answer = tls.recv(1 << 16)
        return (bool(tls.session_reused), bool(answer)), tls.session


async def test_one_chain_waits_for_its_certificate_and_the_other_serves() -> None:
    bank = ServerTlsPlan(TlsPlan(WILD.name))
    async with serving(chain("shop.example", SIMPLE), chain("*.bank.example", bank), secrets=(SHOP,)) as (running, _):
        assert (await fetch(running.port, "a.bank.example", client()))[0] == 0
        assert (await fetch(running.port, "shop.example", client()))[0] == 200
        assert running.count("tls_refused") == 1
        await running.apply(WILD)
        assert (await fetch(running.port, "a.bank.example", client()))[0] == 200


ALL = ClientCertPlan("sanitize_set", cert=True, subject=True, uri=True, dns=True)


@pytest.mark.parametrize(
    ("plan", "tls", "expected"),
    [
        (ALL, SIMPLE, None),
        (ALL, OPTIONAL, "Hash;Cert;Subject;URI"),
        (ClientCertPlan("sanitize_set"), MUTUAL, "Hash"),
        (ClientCertPlan("append_forward", uri=True), MUTUAL, "forged,Hash;URI"),
        (ClientCertPlan("forward_only"), MUTUAL, "forged"),
        (ClientCertPlan("forward_only"), SIMPLE, None),
        (ClientCertPlan("always_forward_only"), SIMPLE, "forged"),
        (ClientCertPlan("sanitize"), MUTUAL, None),
    ],
)
async def test_what_the_application_learns_of_the_client(
    plan: ClientCertPlan, tls: ServerTlsPlan, expected: str | None
) -> None:
    handler = replace(http("app"), client_cert=plan)
    async with serving(chain("shop.example", tls, handler=handler)) as (running, heads):
        assert (await fetch(running.port, "shop.example", client(CLIENT)))[0] == 200
    lines = [
        line.partition(b": ")[2] for line in heads[0].split(b"\r\n") if line.lower().startswith(b"x-forwarded-client")
    ]
    hops = (
        [";".join(part.partition("=")[0] for part in hop.split(";")) for hop in lines[0].decode().split(",")]
        if lines
        else []
    )
    assert (",".join(hops) or None) == expected
    if plan is ALL and tls is OPTIONAL:
        pem = lines[0].decode().partition('Cert="')[2].partition('"')[0]
        assert pem.startswith("-----BEGIN%20CERTIFICATE-----%0A")
        assert not {"/", "+", "=", " ", "\n"} & set(pem)


LOGGED = (
    "REQUESTED_SERVER_NAME",
    "DOWNSTREAM_TLS_VERSION",
    "DOWNSTREAM_TLS_CIPHER",
    "DOWNSTREAM_PEER_URI_SAN",
    "DOWNSTREAM_PEER_SUBJECT",
    "DOWNSTREAM_PEER_ISSUER",
    "DOWNSTREAM_PEER_SERIAL",
    "DOWNSTREAM_PEER_FINGERPRINT_256",
    "DOWNSTREAM_PEER_FINGERPRINT_1",
    "DOWNSTREAM_PEER_CERT_V_END",
)


async def logged(path: Path) -> dict[str, Any]:
    """The first line, when it is there."""
    async with asyncio.timeout(20):
        while not lines_of(path):  # noqa: ASYNC110 - a log has no events
            await asyncio.sleep(0.01)
    found: dict[str, Any] = json.loads(lines_of(path)[0])
    return found


def lines_of(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


async def test_the_access_log_tells_of_tls(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    plan = AccessLogPlan(str(path), json=tuple((name, f"%{name}%") for name in LOGGED))
    handler: HttpPlan = replace(http("app"), access_logs=(plan,))
    async with serving(chain("shop.example", MUTUAL, handler=handler)) as (running, _):
        await fetch(running.port, "shop.example", client(CLIENT))
        entry = await logged(path)
    leaf = x509.load_pem_x509_certificate(CLIENT.chain.encode())
    assert entry["REQUESTED_SERVER_NAME"] == "shop.example"
    assert entry["DOWNSTREAM_TLS_VERSION"] == "TLSv1.3"
    assert entry["DOWNSTREAM_TLS_CIPHER"].startswith("TLS_")
    assert entry["DOWNSTREAM_PEER_URI_SAN"] == CLIENT.identity
    assert entry["DOWNSTREAM_PEER_SUBJECT"] is None
    assert entry["DOWNSTREAM_PEER_ISSUER"] == "O=cluster.local"
    assert int(entry["DOWNSTREAM_PEER_SERIAL"], 16) == leaf.serial_number
    assert entry["DOWNSTREAM_PEER_FINGERPRINT_256"] == digests(CLIENT)["digests"][0]
    assert len(entry["DOWNSTREAM_PEER_FINGERPRINT_1"]) == 40
    assert entry["DOWNSTREAM_PEER_CERT_V_END"] == leaf.not_valid_after_utc.strftime("%Y-%m-%dT%H:%M:%S.000Z")


async def test_the_listeners_log_tells_why_a_handshake_failed(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    names = ("DOWNSTREAM_TRANSPORT_FAILURE_REASON", "REQUESTED_SERVER_NAME", "DOWNSTREAM_TLS_VERSION")
    log = AccessLogPlan(str(path), json=tuple((name, f"%{name}%") for name in names))
    listener = replace(gateway(chain("shop.example", MUTUAL)), access_logs=(log,))
    async with proxy(listener, static("app", 1), SHOP, CA) as running:
        assert (await fetch(running.port, "shop.example", client()))[0] == 0
        assert await logged(path) == {
            "DOWNSTREAM_TRANSPORT_FAILURE_REASON": "TLS_error:peer_did_not_return_a_certificate",
            "REQUESTED_SERVER_NAME": "shop.example",
            "DOWNSTREAM_TLS_VERSION": None,
        }
