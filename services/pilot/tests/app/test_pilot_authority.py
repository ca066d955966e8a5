"""Pilot as authority: certificates and xDS on one secure port, each proxy for itself alone."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import grpc
import pytest
from envoy.service.discovery.v3 import discovery_pb2
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet

from mizzen.identity.callers import door
from mizzen.identity.certificate import certificate_to_pem
from mizzen.identity.credentials import Credentials
from mizzen.identity.keys import key_to_pem, new_key
from mizzen.identity.request import make_request
from mizzen.identity.spiffe import SpiffeId
from mizzen.pilot.app import authority as authority_module
from mizzen.pilot.app.authority import AuthoritySettings, PilotAuthority
from mizzen.pilot.app.pilot import Pilot
from mizzen.pilot.app.settings import Settings, read_settings
from mizzen.pilot.base.meshconfig import MeshConfig
from mizzen.pilot.ca import folder_source
from mizzen.pilot.ca.authority import Authority, self_signed
from mizzen.pilot.ca.folder import load
from mizzen.pilot.ca.rotation import Rotation
from mizzen.proto import ca_pb2
from mizzen.runtime.address import Address
from mizzen.runtime.errors import StartError
from mizzen.runtime.files import write_atomic

REVIEWS = SpiffeId("cluster.local", "default", "reviews")
ISSUER = ECKey.generate_key("P-256", {"kid": "one"})
ANY_PORT = Address("127.0.0.1", 0)
CANARY = "istiod-canary.istio-system.svc.example.org"
XDS = "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources"
CSR = "/istio.v1.auth.IstioCertificateService/CreateCertificate"


@pytest.fixture
async def pilot(tmp_path: Path) -> AsyncIterator[Pilot]:
    for name in ("config", "registry"):
        (tmp_path / name).mkdir()
    (tmp_path / "keys.json").write_text(json.dumps(KeySet([ISSUER]).as_dict(private=False)))
    authority = AuthoritySettings(ANY_PORT, tmp_path / "ca", tmp_path / "keys.json")
    settings = Settings(ANY_PORT, ANY_PORT, tmp_path / "config", tmp_path / "registry", authority=authority)
    running = Pilot(settings, stores=())
    try:
        await running.start()
        yield running
    finally:
        await running.close()


def address(pilot: Pilot) -> str:
    assert pilot._authority is not None
    return str(pilot._authority.port.address)


def token_of(namespace: str, account: str) -> str:
    claims = {
        "sub": f"system:serviceaccount:{namespace}:{account}",
        "aud": ["istio-ca"],
        "exp": int((datetime.now(UTC) + timedelta(minutes=1)).timestamp()),
    }
    return jwt.encode({"alg": "ES256", "kid": "one"}, claims, ISSUER)


async def certified(pilot: Pilot, folder: Path) -> Credentials:
    token = token_of("default", "reviews")
    key = new_key()
    roots = (folder / "ca" / "root-cert.pem").read_bytes()
    async with grpc.aio.secure_channel(address(pilot), grpc.ssl_channel_credentials(roots)) as channel:
        call = channel.unary_unary(
            CSR,
            request_serializer=ca_pb2.IstioCertificateRequest.SerializeToString,
            response_deserializer=ca_pb2.IstioCertificateResponse.FromString,
        )
        request = ca_pb2.IstioCertificateRequest(csr=make_request(key, REVIEWS))
        response = await call(request, metadata=(("authorization", f"Bearer {token}"),), timeout=20)
    return Credentials.received(key, list(response.cert_chain))


async def first_answer(pilot: Pilot, credentials: Any, account: str, namespace: str = "default") -> str:
    """The type of Pilot's first response, or the code with which it refuses the stream."""
    async with stream(pilot, credentials, account, namespace) as call:
        return await kind_of(call)


@asynccontextmanager
async def stream(pilot: Pilot, credentials: Any, account: str, namespace: str = "default") -> AsyncIterator[Any]:
    """One of xDS, on which clusters were asked for."""
    async with grpc.aio.secure_channel(address(pilot), credentials) as channel:
        call = channel.stream_stream(
            XDS,
            request_serializer=discovery_pb2.DeltaDiscoveryRequest.SerializeToString,
            response_deserializer=discovery_pb2.DeltaDiscoveryResponse.FromString,
        )(timeout=40)
        try:
            with suppress(grpc.aio.AioRpcError):  # `kind_of` says which
                await call.write(asked(account, namespace))
            yield call
        finally:
            call.cancel()


def asked(account: str, namespace: str = "default", kind: str = "cluster.v3.Cluster") -> Any:
    request = discovery_pb2.DeltaDiscoveryRequest(type_url=f"type.googleapis.com/envoy.config.{kind}")
    request.node.id = f"sidecar~10.0.0.1~reviews-1.{namespace}~{namespace}.svc.cluster.local"
    request.node.metadata.update({"NAMESPACE": namespace, "SERVICE_ACCOUNT": account})
    return request


async def kind_of(call: Any) -> str:
    """Of the next response; the code where the stream ends."""
    try:
        return str((await call.read()).type_url.rpartition(".")[2])
    except grpc.aio.AioRpcError as error:
        return error.code().name


def shown(credentials: Credentials) -> Any:
    return grpc.ssl_channel_credentials(
        credentials.roots_pem.encode(), credentials.key_pem.encode(), credentials.chain_pem.encode()
    )


async def test_a_proxy_gets_its_own_configuration_and_nobody_elses(pilot: Pilot, tmp_path: Path) -> None:
    own = await certified(pilot, tmp_path)
    assert own.identity == REVIEWS
    assert await first_answer(pilot, shown(own), "reviews") == "Cluster"
    assert await first_answer(pilot, shown(own), "ratings") == "PERMISSION_DENIED"
    assert await first_answer(pilot, shown(own), "reviews", "other") == "PERMISSION_DENIED"


async def test_configuration_is_for_who_shows_a_certificate(pilot: Pilot, tmp_path: Path) -> None:
    anonymous = grpc.ssl_channel_credentials((tmp_path / "ca" / "root-cert.pem").read_bytes())
    assert await first_answer(pilot, anonymous, "reviews") == "PERMISSION_DENIED"


async def page(pilot: Pilot, path: str, namespace: str = "") -> tuple[int, Any]:
    """Status and contents of a debug page, as a service account of this namespace sees it, or as nobody does."""
    headers = {"Authorization": f"Bearer {token_of(namespace, 'viewer')}"} if namespace else {}
    async with (
        aiohttp.ClientSession(headers=headers, timeout=aiohttp.ClientTimeout(total=20)) as session,
        session.get(f"http://{pilot.monitoring.address}{path}") as response,
    ):
        text = await response.text()
        return response.status, json.loads(text) if response.content_type == "application/json" else text


async def test_cve_2026_31838_debug_pages_tell_a_namespace_of_its_own_proxies_alone(
    pilot: Pilot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = await certified(pilot, tmp_path)
    async with stream(pilot, shown(own), "reviews") as call:
        assert await kind_of(call) == "Cluster"
        dump = "/debug/config_dump?proxyID=reviews-1.default"
        assert (await page(pilot, dump))[0] == 200  # from this machine
        monkeypatch.setattr(door, "_is_of_this_machine", lambda remote: False)
        assert [(await page(pilot, dump, who))[0] for who in ("", "other", "default", "istio-system")] == [
            401,
            404,
            200,
            200,
        ]
        assert (await page(pilot, dump, "other"))[1]["connected"] == []
        for path in ("configz", "registryz", "endpointz", "syncz", "adsz?push=true", "drainz?address=1", "mtlsz"):
            statuses = [(await page(pilot, f"/debug/{path}", who))[0] for who in ("", "default", "istio-system")]
            assert (path, statuses) == (path, [401, 403, 200])
        for path in ("/ready", "/metrics", "/version"):
            assert (await page(pilot, path))[0] == 200


async def test_another_mesh_with_the_same_root_is_another_mesh(pilot: Pilot) -> None:
    """Its namespaces and service accounts may well have the names of ours."""
    assert pilot._authority is not None
    authority, key = pilot._authority._known(), new_key()

    def of(trust_domain: str) -> Credentials:
        identity = SpiffeId(trust_domain, REVIEWS.namespace, REVIEWS.service_account)
        leaf = authority.issue(key.public_key(), identity, timedelta(hours=1), datetime.now(UTC))
        return Credentials.received(key, authority.chain(leaf))

    assert await first_answer(pilot, shown(of("cluster.local")), "reviews") == "Cluster"
    assert await first_answer(pilot, shown(of("other.example")), "reviews") == "PERMISSION_DENIED"
    pilot._authority._trust_domains += ("other.example",)
    assert await first_answer(pilot, shown(of("other.example")), "reviews") == "Cluster"


async def test_the_root_is_made_once(pilot: Pilot, tmp_path: Path) -> None:
    root = (tmp_path / "ca" / "root-cert.pem").read_text()
    await pilot.close()
    again = Pilot(pilot._settings, stores=())
    try:
        await again.start()
        assert (tmp_path / "ca" / "root-cert.pem").read_text() == root
    finally:
        await again.close()


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--secure-address", "127.0.0.1:15012"], "goes together with"),
        (["--ca-dir", "ca"], "goes together with"),
        (["--ca-namespace", "istio-system"], "goes together with"),
        (
            ["--secure-address", "127.0.0.1:15012", "--ca-namespace", "istio-system"],
            "--ca-namespace needs --kubeconfig",
        ),
        (["--ca-dir", "ca", "--ca-namespace", "istio-system"], "two places for one authority"),
    ],
)
def test_what_an_authority_needs(flags: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        read_settings(flags, {})
    assert words in capsys.readouterr().err


async def test_the_roots_are_given_to_who_shares_their_file(tmp_path: Path) -> None:
    settings = AuthoritySettings(ANY_PORT, tmp_path / "ca", roots_file=tmp_path / "shared" / "roots.pem")
    authority = PilotAuthority(settings, lambda: ANY_PORT, None)
    await authority.prepare(MeshConfig())
    assert (tmp_path / "shared" / "roots.pem").read_text() == authority.roots
    (tmp_path / "file").write_text("in the way")
    settings = AuthoritySettings(ANY_PORT, tmp_path / "ca", roots_file=tmp_path / "file" / "roots.pem")
    with pytest.raises(StartError, match="cannot write what proxies trust to"):
        await PilotAuthority(settings, lambda: ANY_PORT, None).prepare(MeshConfig())


async def test_its_certificate_has_all_names_of_its_service(tmp_path: Path) -> None:
    settings = AuthoritySettings(ANY_PORT, tmp_path / "ca", hosts=("istiod-canary",))
    authority = PilotAuthority(settings, lambda: ANY_PORT, None)
    await authority.prepare(MeshConfig(domain_suffix="example.org"))
    try:
        await authority.start()
        address, roots = authority.port.address, authority.roots
        for name in (
            "istiod.istio-system.svc",
            "istio-pilot.istio-system",
            "istiod-canary.istio-system.svc.example.org",
        ):
            context = ssl.create_default_context(cadata=roots)
            _, writer = await asyncio.open_connection(address.host, address.port, ssl=context, server_hostname=name)
            writer.transport.abort()
        with pytest.raises(ssl.SSLCertVerificationError):
            await asyncio.open_connection(
                address.host,
                address.port,
                ssl=ssl.create_default_context(cadata=roots),
                server_hostname="bank.default.svc",
            )
    finally:
        await authority.close()


async def test_a_folder_with_another_root_is_told_of_before_it_signs(
    pilot: Pilot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The new root comes with the next certificate, and signs when proxies have had the time to learn of it."""
    monkeypatch.setattr(folder_source, "LOOK_SECONDS", 0.02)
    running = asyncio.create_task(pilot.run())
    try:
        first = await certified(pilot, tmp_path)
        old = (tmp_path / "ca" / "root-cert.pem").read_text()
        new = self_signed(new_key(), "new", datetime.now(UTC))
        write(tmp_path / "ca", new)
        (tmp_path / "ca" / "root-cert.pem").write_text(old + new.bundle)  # by it this test finds Pilot

        async with asyncio.timeout(20):
            while len((second := await certified(pilot, tmp_path)).roots) < 2:  # noqa: ASYNC110 - it asks Pilot
                await asyncio.sleep(0.02)
        assert second.leaf.issuer == first.leaf.issuer
        assert second.roots_pem == old + new.bundle

        assert pilot._authority is not None
        assert pilot._authority._rotation is not None
        monkeypatch.setattr(pilot._authority._rotation, "_settle", timedelta())
        pilot._authority._turned.set()
        async with asyncio.timeout(20):
            while (third := await certified(pilot, tmp_path)).leaf.issuer == first.leaf.issuer:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        assert {root.subject for root in third.roots} == {root.subject for root in second.roots}
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_an_authority_that_has_ended_does_not_end_pilot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody gets a certificate then, but configuration goes on, and so does the wait for another authority."""
    monkeypatch.setattr(authority_module, "RENEW_SECONDS", 0.01)
    authority = PilotAuthority(AuthoritySettings(ANY_PORT, tmp_path / "ca"), lambda: ANY_PORT, None)
    await authority.prepare(MeshConfig())
    await authority.start()
    ended = self_signed(new_key(), "old", datetime.now(UTC) - timedelta(days=2), timedelta(days=1))
    authority._rotation = Rotation(ended, timedelta())
    running = asyncio.create_task(authority.run())
    try:
        async with asyncio.timeout(20):
            while not running.done() and "Pilot's own certificate cannot be renewed" not in caplog.text:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        assert not running.done()
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await authority.close()


async def test_who_is_on_the_list_is_refused_and_cut_off_and_others_go_on(
    pilot: Pilot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, revoked: Callable[..., str]
) -> None:
    monkeypatch.setattr(folder_source, "LOOK_SECONDS", 0.02)
    running = asyncio.create_task(pilot.run())
    list_file = tmp_path / "ca" / "ca-crl.pem"
    authority = load(tmp_path / "ca", datetime.now(UTC)).authority
    try:
        bad, good = await certified(pilot, tmp_path), await certified(pilot, tmp_path)
        async with stream(pilot, shown(bad), "reviews") as cut, stream(pilot, shown(good), "reviews") as kept:
            assert await kind_of(cut) == await kind_of(kept) == "Cluster"
            write_atomic(list_file, revoked(authority, bad.leaf))
            assert await kind_of(cut) == "UNAVAILABLE"
            await until(lambda: first_answer(pilot, shown(bad), "reviews"), "UNAVAILABLE")
            assert await first_answer(pilot, shown(good), "reviews") == "Cluster"

            write_atomic(list_file, "nonsense")  # the last good one stays
            await asyncio.wait_for(_stamped(pilot, list_file), 20)
            assert await first_answer(pilot, shown(bad), "reviews") == "UNAVAILABLE"
            assert (await certified(pilot, tmp_path)).identity == REVIEWS

            list_file.unlink()
            await until(lambda: first_answer(pilot, shown(bad), "reviews"), "Cluster")
            await kept.write(asked("reviews", kind="listener.v3.Listener"))
            assert await kind_of(kept) == "Listener"
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def _stamped(pilot: Pilot, file: Path) -> None:
    """Returns when the file as it is now was looked at."""
    assert pilot._authority is not None
    source = pilot._authority._source
    assert isinstance(source, folder_source.FolderAuthority)
    while source._stamp != source._stamps():  # noqa: ASYNC110 - the source polls too
        await asyncio.sleep(0.01)


async def until(ask: Callable[[], Awaitable[str]], wanted: str) -> None:
    async with asyncio.timeout(20):
        while await ask() != wanted:  # noqa: ASYNC110 - it asks Pilot
            await asyncio.sleep(0.02)


async def test_a_list_that_cannot_be_read_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "ca").mkdir()
    write(tmp_path / "ca", self_signed(new_key(), "cluster.local", datetime.now(UTC)))
    (tmp_path / "ca" / "ca-crl.pem").write_text("nonsense")
    with pytest.raises(StartError, match=r"ca-crl.pem: not revocation lists in PEM"):
        await PilotAuthority(AuthoritySettings(ANY_PORT, tmp_path / "ca"), lambda: ANY_PORT, None).prepare(MeshConfig())


async def test_the_list_is_given_to_who_shares_the_roots_file(tmp_path: Path, revoked: Callable[..., str]) -> None:
    settings = AuthoritySettings(ANY_PORT, tmp_path / "ca", roots_file=tmp_path / "shared" / "root-cert.pem")
    await PilotAuthority(settings, lambda: ANY_PORT, None).prepare(MeshConfig())
    given, text = tmp_path / "shared" / "ca-crl.pem", revoked(load(tmp_path / "ca", datetime.now(UTC)).authority)
    assert not given.exists()
    (tmp_path / "ca" / "ca-crl.pem").write_text(text)
    await PilotAuthority(settings, lambda: ANY_PORT, None).prepare(MeshConfig())
    assert given.read_text() == text
    (tmp_path / "ca" / "ca-crl.pem").unlink()
    await PilotAuthority(settings, lambda: ANY_PORT, None).prepare(MeshConfig())
    assert not given.exists()


def write(folder: Path, authority: Authority) -> None:
    for name, text in (
        ("ca-key.pem", key_to_pem(authority.key)),
        ("ca-cert.pem", certificate_to_pem(authority.certificate)),
        ("cert-chain.pem", certificate_to_pem(authority.certificate)),
    ):
        write_atomic(folder / name, text)
