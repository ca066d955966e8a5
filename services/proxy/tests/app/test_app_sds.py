"""Secrets by SDS: the stream's protocol, the socket, and a real Envoy that is given new certificates."""

from __future__ import annotations

import asyncio
import json
import ssl
import stat
import subprocess
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import grpc
import pytest
from envoy.extensions.transport_sockets.tls.v3 import secret_pb2
from envoy.service.discovery.v3 import discovery_pb2
from google.rpc import status_pb2
from tls_authority import TestAuthority

from mizzen.identity.certificate import certificates_from_pem
from mizzen.proxy.app import envoy
from mizzen.proxy.app.envoy_bootstrap import SDS_SOCKET, bootstrap
from mizzen.proxy.app.identity.sds_server import SERVICE, SdsServer
from mizzen.proxy.app.identity.sds_session import TYPE_URL, DeltaSession, InvalidRequest, SotwSession
from mizzen.proxy.app.identity.secret_store import SecretStore
from mizzen.proxy.app.settings import Settings, read_settings
from mizzen.proxy.engine.tls_plan import SecretPlan
from mizzen.runtime.errors import StartError

Sotw, Delta = discovery_pb2.DiscoveryRequest, discovery_pb2.DeltaDiscoveryRequest
ROOTS = SecretPlan("ROOTCA", roots="roots")


def own(chain: str) -> SecretPlan:
    return SecretPlan("default", chain, f"key of {chain}")


def secrets_in(response: Any) -> dict[str, str]:
    """Chains and roots by name."""
    found = {}
    for resource in response.resources:
        secret = secret_pb2.Secret()
        assert getattr(resource, "resource", resource).Unpack(secret)
        certificate = secret.tls_certificate
        if secret.HasField("tls_certificate"):
            assert certificate.private_key.inline_bytes == b"key of " + certificate.certificate_chain.inline_bytes
        text = certificate.certificate_chain.inline_bytes or secret.validation_context.trusted_ca.inline_bytes
        found[secret.name] = text.decode()
    return found


@pytest.fixture
def store() -> SecretStore:
    return SecretStore()


class TestStateOfTheWorld:
    async def test_a_name_is_answered_when_it_has_a_secret(self, store: SecretStore) -> None:
        session = SotwSession(store.find)
        assert session.receive(Sotw(type_url=TYPE_URL, resource_names=["default"])) is None
        await store.keep([own("one"), ROOTS])
        assert secrets_in(session.changed()) == {"default": "one"}

    async def test_an_acknowledgement_is_not_answered_and_a_renewal_is_news(self, store: SecretStore) -> None:
        await store.keep([own("one"), ROOTS])
        session = SotwSession(store.find)
        first = session.receive(Sotw(resource_names=["default", "ROOTCA"]))
        assert secrets_in(first) == {"default": "one", "ROOTCA": "roots"}
        ack = Sotw(resource_names=["default", "ROOTCA"], response_nonce=first.nonce, version_info=first.version_info)
        assert session.receive(ack) is None
        assert session.changed() is None
        await store.keep([own("two"), ROOTS])
        second = session.changed()
        assert secrets_in(second) == {"default": "two", "ROOTCA": "roots"}
        assert second.version_info != first.version_info

    async def test_what_is_refused_is_not_sent_again(self, store: SecretStore, caplog: Any) -> None:
        await store.keep([own("one")])
        session = SotwSession(store.find)
        nonce = session.receive(Sotw(resource_names=["default"])).nonce
        nack = Sotw(resource_names=["default"], response_nonce=nonce, error_detail=status_pb2.Status(message="bad key"))
        assert session.receive(nack) is None
        assert "Envoy refuses the secrets default: bad key" in caplog.text
        await store.keep([own("two")])
        assert secrets_in(session.changed()) == {"default": "two"}

    async def test_a_late_answer_to_an_earlier_response_means_nothing(self, store: SecretStore) -> None:
        await store.keep([own("one")])
        session = SotwSession(store.find)
        first = session.receive(Sotw(resource_names=["default"]))
        await store.keep([own("two")])
        session.changed()
        assert session.receive(Sotw(resource_names=[], response_nonce=first.nonce)) is None
        await store.keep([own("three")])
        assert secrets_in(session.changed()) == {"default": "three"}

    def test_only_secrets_are_served(self, store: SecretStore) -> None:
        with pytest.raises(InvalidRequest, match="secrets alone"):
            SotwSession(store.find).receive(Sotw(type_url="type.googleapis.com/envoy.config.cluster.v3.Cluster"))

    def test_names_have_an_end(self, store: SecretStore) -> None:
        with pytest.raises(InvalidRequest, match="more than 1000"):
            SotwSession(store.find).receive(Sotw(resource_names=map(str, range(1001))))


class TestDelta:
    async def test_only_what_is_new_goes_out(self, store: SecretStore) -> None:
        await store.keep([own("one"), ROOTS])
        session = DeltaSession(store.find)
        first = session.receive(Delta(type_url=TYPE_URL, resource_names_subscribe=["default", "ROOTCA"]))
        assert secrets_in(first) == {"default": "one", "ROOTCA": "roots"}
        assert session.receive(Delta(response_nonce=first.nonce)) is None
        await store.keep([own("two"), ROOTS])
        assert secrets_in(session.changed()) == {"default": "two"}

    async def test_who_comes_back_says_what_it_has(self, store: SecretStore) -> None:
        await store.keep([own("one"), ROOTS])
        first = DeltaSession(store.find).receive(Delta(resource_names_subscribe=["default"]))
        has = {"default": first.resources[0].version}
        again = DeltaSession(store.find)
        assert again.receive(Delta(resource_names_subscribe=["default"], initial_resource_versions=has)) is None
        await store.keep([own("two")])
        assert secrets_in(again.changed()) == {"default": "two"}

    async def test_what_is_given_up_is_not_sent(self, store: SecretStore) -> None:
        await store.keep([own("one")])
        session = DeltaSession(store.find)
        session.receive(Delta(resource_names_subscribe=["default"]))
        assert session.receive(Delta(resource_names_unsubscribe=["default"])) is None
        await store.keep([own("two")])
        assert session.changed() is None


class TestFiles:
    async def test_files_are_secrets_by_istios_names(self, store: SecretStore, tmp_path: Path) -> None:
        authority = TestAuthority()
        made, roots = authority.secret("web"), authority.roots()
        chain, key, ca = tmp_path / "chain.pem", tmp_path / "key.pem", tmp_path / "ca.pem"
        for path, text in ((chain, made.chain), (key, made.key), (ca, roots.roots)):
            path.write_text(text)
        session = DeltaSession(store.find)
        names = [f"file-cert:{chain}~{key}", f"file-root:{ca}", "file-root:/nowhere"]
        response = session.receive(Delta(resource_names_subscribe=names))
        found = {resource.name: secret_pb2.Secret() for resource in response.resources}
        for resource in response.resources:
            resource.resource.Unpack(found[resource.name])
        assert list(found) == names[:2]
        assert found[names[0]].tls_certificate.private_key.inline_bytes == made.key.encode()
        assert found[names[1]].validation_context.trusted_ca.inline_bytes == roots.roots.encode()

    async def test_a_file_that_changes_is_news(self, store: SecretStore, tmp_path: Path) -> None:
        ca = tmp_path / "ca.pem"
        ca.write_text(TestAuthority().roots().roots)
        watching = asyncio.create_task(store.watch())
        try:
            with store.followed() as changed:
                session = SotwSession(store.find)
                first = session.receive(Sotw(resource_names=[f"file-root:{ca}"]))
                other = TestAuthority().roots().roots
                ca.write_text(other)
                async with asyncio.timeout(20):
                    await changed.wait()
                assert list(secrets_in(session.changed()).values()) == [other]
                assert list(secrets_in(first).values()) != [other]
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)

    async def test_nobody_follows_what_nobody_asks_for_any_more(self, store: SecretStore, tmp_path: Path) -> None:
        ca = tmp_path / "ca.pem"
        ca.write_text(TestAuthority().roots().roots)
        with store.followed():
            assert store.find(f"file-root:{ca}") is not None
        ca.unlink()
        assert store.find(f"file-root:{ca}") is None


@pytest.fixture
async def socket(store: SecretStore, tmp_path: Path) -> AsyncIterator[Path]:
    """Of a running server, in a folder of which the name alone is longer than a socket's address may be."""
    path = tmp_path / ("deep" * 30) / SDS_SOCKET
    server = SdsServer(store)
    await server.start(path)
    yield path
    await server.close()
    assert not path.exists()


def test_the_socket_is_for_this_user_alone(socket: Path) -> None:
    assert stat.S_IMODE(socket.stat().st_mode) == 0o600
    assert stat.S_ISSOCK(socket.stat().st_mode)


async def test_a_socket_that_cannot_be_made_is_said(store: SecretStore, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    server = SdsServer(store)
    with pytest.raises(StartError, match=r"the socket of Envoy's secrets cannot be made at .*/file/socket"):
        await server.start(tmp_path / "file" / "socket")
    await server.close()


@pytest.mark.parametrize(
    ("method", "request_", "response"),
    [
        ("StreamSecrets", Sotw(resource_names=["default"]), discovery_pb2.DiscoveryResponse),
        ("DeltaSecrets", Delta(resource_names_subscribe=["default"]), discovery_pb2.DeltaDiscoveryResponse),
    ],
)
async def test_streams_are_told_of_renewals(
    store: SecretStore, socket: Path, monkeypatch: pytest.MonkeyPatch, method: str, request_: Any, response: Any
) -> None:
    monkeypatch.chdir(socket.parent)
    async with grpc.aio.insecure_channel("unix:socket") as channel:
        stream = channel.stream_stream(
            f"/{SERVICE}/{method}",
            request_serializer=type(request_).SerializeToString,
            response_deserializer=response.FromString,
        )()
        await stream.write(request_)
        for chain in ("one", "two"):
            await store.keep([own(chain)])
            assert secrets_in(await stream.read()) == {"default": chain}
        await stream.done_writing()
        assert await stream.read() is grpc.aio.EOF


@pytest.fixture
def settings(app: SimpleNamespace, tmp_path: Path) -> Settings:
    port = app.unused_port
    return read_settings(
        [
            *("--engine", "envoy", "--name", "web-1", "--bind-address", "127.0.0.1", "--drain-seconds", "1"),
            *("--admin-address", f"127.0.0.1:{port()}", "--status-port", str(port()), "--prometheus-port", str(port())),
            *("--state-dir", str(tmp_path), "--discovery-address", f"127.0.0.1:{port()}"),
            *("--ca-address", f"127.0.0.1:{port()}", "--ca-roots", "roots.pem", "--token-file", "token"),
        ],
        {},
    )


def with_listener(settings: Settings, port: int, api_type: str) -> dict[str, Any]:
    """The bootstrap, and a listener that ends TLS with the workload's certificate."""
    config = bootstrap(settings)
    pilot = config["static_resources"]["clusters"][0]
    common = json.loads(json.dumps(pilot["transport_socket"]["typed_config"]["common_tls_context"]))
    del common["combined_validation_context"]
    common["tls_certificate_sds_secret_configs"][0]["sds_config"]["api_config_source"]["api_type"] = api_type
    context = {
        "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
        "common_tls_context": common,
    }
    echo = {"@type": "type.googleapis.com/envoy.extensions.filters.network.echo.v3.Echo"}
    chain = {
        "filters": [{"name": "envoy.filters.network.echo", "typed_config": echo}],
        "transport_socket": {"name": "envoy.transport_sockets.tls", "typed_config": context},
    }
    address = {"socket_address": {"address": "127.0.0.1", "port_value": port}}
    del config["dynamic_resources"]  # nobody is Pilot here
    config["static_resources"]["listeners"] = [{"name": "tls", "address": address, "filter_chains": [chain]}]
    return config


async def shown(port: int) -> str:
    """The certificate that the server shows; "" while there is none."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with suppress(OSError):
        _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
        encoded = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
        return ssl.DER_cert_to_PEM_cert(encoded)
    return ""


@pytest.mark.parametrize("api_type", ["GRPC", "DELTA_GRPC"])
async def test_envoy_is_given_the_certificate_and_each_new_one(
    settings: Settings, app: SimpleNamespace, store: SecretStore, tmp_path: Path, api_type: str
) -> None:
    folder, port, authority = envoy.work_folder(settings), app.unused_port(), TestAuthority()
    server = SdsServer(store)
    await server.start(folder / SDS_SOCKET)
    config = folder / "envoy.json"
    config.write_text(json.dumps(with_listener(settings, port, api_type)))
    command = envoy.command_line(envoy.find_envoy(), config, settings)
    with (tmp_path / "log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(*command, cwd=folder, stdout=log, stderr=log)
    try:
        for secret in (authority.secret("web"), authority.secret("web")):
            await store.keep([secret, authority.roots()])
            (leaf,) = certificates_from_pem(secret.chain)
            async with asyncio.timeout(30):
                while not (pem := await shown(port)) or certificates_from_pem(pem) != [leaf]:
                    assert process.returncode is None, (tmp_path / "log").read_text()
                    await asyncio.sleep(0.05)
    finally:
        process.terminate()
        await process.wait()
        await server.close()


def test_envoy_accepts_a_bootstrap_with_an_identity(settings: Settings, tmp_path: Path) -> None:
    config = tmp_path / "envoy.json"
    config.write_text(json.dumps(bootstrap(settings)))
    command = envoy.command_line(envoy.find_envoy(), config, settings)
    result = subprocess.run([*command, "--mode", "validate"], capture_output=True, text=True, timeout=50, check=False)
    assert result.returncode == 0, result.stderr
