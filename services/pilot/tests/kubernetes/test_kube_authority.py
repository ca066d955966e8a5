"""The authority on a real API server: its Secrets, tokens that the server judges, roots in every namespace."""

from __future__ import annotations

import asyncio
import base64
import urllib.error
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc
import pytest
from services.pilot.tests.kubernetes.running_pilot import serving

from mizzen.identity.certificate import certificate_to_pem
from mizzen.identity.credentials import Credentials
from mizzen.identity.keys import key_to_pem, new_key
from mizzen.identity.request import make_request
from mizzen.identity.spiffe import SpiffeId
from mizzen.kubernetes import leader
from mizzen.pilot.app.authority import AuthoritySettings
from mizzen.pilot.app.pilot import Pilot
from mizzen.pilot.app.settings import Settings
from mizzen.pilot.ca import review
from mizzen.pilot.ca.authority import self_signed
from mizzen.pilot.ingest.kubernetes import trust
from mizzen.proto import ca_pb2
from mizzen.runtime.address import Address
from mizzen.runtime.errors import StartError

pytestmark = pytest.mark.kube
ANYWHERE = Address("127.0.0.1", 0)
CSR = "/istio.v1.auth.IstioCertificateService/CreateCertificate"


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trust, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr(trust, "RETRY_SECONDS", 0.2)
    monkeypatch.setattr(leader, "RETRY_SECONDS", 0.1)


@asynccontextmanager
async def running(kubeconfig: Path, namespace: str) -> AsyncIterator[Pilot]:
    authority = AuthoritySettings(ANYWHERE, namespace=namespace)
    lease = (namespace, "mizzen-pilot")
    settings = Settings(
        ANYWHERE, ANYWHERE, None, None, kubeconfig=str(kubeconfig), status_lease=lease, authority=authority
    )
    async with serving(Pilot(settings)) as pilot:
        yield pilot


@dataclass
class Space:
    """One namespace, as an administrator sees it."""

    server: Any
    name: str

    async def ask(self, method: str, path: str, body: Any = None) -> Any:
        return await asyncio.to_thread(self.server.request, method, f"/api/v1/namespaces/{self.name}/{path}", body)

    async def get(self, path: str) -> Any:
        """None where there is no such object."""
        try:
            return await self.ask("GET", path)
        except urllib.error.HTTPError as error:
            if error.code != 404:
                raise
            return None

    async def apply(self, kind: str, many: str, name: str, **fields: Any) -> None:
        item = {"apiVersion": "v1", "kind": kind, "metadata": {"name": name, "namespace": self.name}, **fields}
        await asyncio.to_thread(self.server.apply, f"/api/v1/namespaces/{self.name}/{many}", item)

    async def token(self, account: str, *audiences: str) -> str:
        await self.apply("ServiceAccount", "serviceaccounts", account)
        asked = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {"audiences": list(audiences), "expirationSeconds": 600},
        }
        return str((await self.ask("POST", f"serviceaccounts/{account}/token", asked))["status"]["token"])

    async def root(self) -> str:
        """Of the ConfigMap."""
        found = await self.get("configmaps/istio-ca-root-cert")
        return found["data"]["root-cert.pem"] if found else ""

    async def until_revoked(self, wanted: str | None) -> None:
        """What the ConfigMap says; None: there is none."""
        async with asyncio.timeout(20):
            while True:
                found = await self.get("configmaps/istio-ca-crl")
                if (None if found is None else found.get("data", {}).get("ca-crl.pem", "")) == wanted:
                    return
                await asyncio.sleep(0.05)

    async def until_root(self, right: Callable[[str], bool]) -> str:
        async with asyncio.timeout(20):
            while True:
                found = await self.root()
                if right(found):
                    return found
                await asyncio.sleep(0.05)


@pytest.fixture
def space(kube_server: Any, namespace: str) -> Space:
    return Space(kube_server, namespace)


@pytest.fixture
def config(kube_server: Any, tmp_path: Path) -> Path:
    found: Path = kube_server.kubeconfig(tmp_path / "kubeconfig")
    return found


async def certified(pilot: Pilot, roots: str, token: str) -> Credentials:
    """What Pilot gives for the token."""
    assert pilot._authority is not None
    key = new_key()
    address = str(pilot._authority.port.address)
    async with grpc.aio.secure_channel(address, grpc.ssl_channel_credentials(roots.encode())) as channel:
        call = channel.unary_unary(
            CSR,
            request_serializer=ca_pb2.IstioCertificateRequest.SerializeToString,
            response_deserializer=ca_pb2.IstioCertificateResponse.FromString,
        )
        request = ca_pb2.IstioCertificateRequest(csr=make_request(key, SpiffeId("cluster.local", "any", "body")))
        response = await call(request, metadata=(("authorization", f"Bearer {token}"),), timeout=20)
    return Credentials.received(key, list(response.cert_chain))


async def refusal(pilot: Pilot, roots: str, token: str) -> tuple[str, str]:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await certified(pilot, roots, token)
    return caught.value.code().name, caught.value.details() or ""


async def test_a_token_of_a_service_account_becomes_its_certificate(space: Space, config: Path) -> None:
    token = await space.token("reviews", "istio-ca")
    other, server = await space.token("reviews", "vault"), await space.token("reviews")
    async with running(config, space.name) as pilot:
        roots = await space.until_root(bool)
        found = await certified(pilot, roots, token)
        assert found.identity == SpiffeId("cluster.local", space.name, "reviews")
        assert found.roots_pem == roots
        for bad in (other, server, "nonsense"):
            code, details = await refusal(pilot, roots, bad)
            assert (code, details[:21]) == ("UNAUTHENTICATED", "the token is not good")
            assert bad not in details


async def test_all_pilots_have_one_root_and_a_new_one_takes_it_over(space: Space, config: Path) -> None:
    async with running(config, space.name) as first, running(config, space.name) as second:
        assert first._authority is not None
        assert second._authority is not None
        root = first._authority.roots
        assert second._authority.roots == root
    secret = await space.get("secrets/istio-ca-secret")
    assert secret["type"] == "istio.io/ca-root"
    assert base64.b64decode(secret["data"]["root-cert.pem"]).decode() == root
    async with running(config, space.name) as third:
        assert third._authority is not None
        assert third._authority.roots == root


async def test_those_that_start_together_agree(space: Space, config: Path) -> None:
    pilots = [Pilot(_settings(config, space.name)) for _ in range(3)]
    try:
        async with asyncio.timeout(30):
            await asyncio.gather(*(pilot.start() for pilot in pilots))
        assert len({pilot._authority.roots for pilot in pilots if pilot._authority}) == 1
    finally:
        for pilot in pilots:
            await pilot.close()


def _settings(config: Path, namespace: str) -> Settings:
    authority = AuthoritySettings(ANYWHERE, namespace=namespace)
    return Settings(ANYWHERE, ANYWHERE, None, None, kubeconfig=str(config), authority=authority)


async def test_roots_are_mended_and_follow_a_plugged_in_authority(space: Space, config: Path) -> None:
    async with running(config, space.name):
        own = await space.until_root(bool)
        await space.ask("DELETE", "configmaps/istio-ca-root-cert")
        await space.until_root(lambda root: root == own)
        await space.apply("ConfigMap", "configmaps", "istio-ca-root-cert", data={"root-cert.pem": "mine"})
        await space.until_root(lambda root: root == own)
        later = Space(space.server, f"{space.name}-later")
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": later.name}}
        await asyncio.to_thread(space.server.apply, "/api/v1/namespaces", namespace)
        await later.until_root(lambda root: root == own)

        await space.apply("Secret", "secrets", "cacerts", stringData={"ca-cert.pem": "nonsense", "ca-key.pem": "x"})
        plugged = self_signed(new_key(), "acme", datetime.now(UTC))
        certificate = certificate_to_pem(plugged.certificate)
        texts = {"ca-cert.pem": certificate, "ca-key.pem": key_to_pem(plugged.key), "root-cert.pem": certificate}
        await space.apply("Secret", "secrets", "cacerts", stringData=texts)
        await later.until_root(lambda root: root == own + plugged.bundle)  # both, while one replaces the other
    system = Space(space.server, "kube-system")
    assert await system.root() == ""


async def test_a_list_of_what_is_revoked_is_in_all_namespaces_while_there_is_one(
    space: Space, config: Path, revoked: Callable[..., str]
) -> None:
    authority = self_signed(new_key(), "acme", datetime.now(UTC))
    certificate, token = certificate_to_pem(authority.certificate), await space.token("reviews", "istio-ca")
    texts = {"ca-cert.pem": certificate, "ca-key.pem": key_to_pem(authority.key), "root-cert.pem": certificate}
    await space.apply("Secret", "secrets", "cacerts", stringData=texts)
    async with running(config, space.name) as pilot:
        await space.until_root(bool)
        await space.until_revoked(None)
        text = revoked(authority, (await certified(pilot, authority.bundle, token)).leaf)
        await space.apply("Secret", "secrets", "cacerts", stringData=texts | {"ca-crl.pem": text})
        await space.until_revoked(text)
        await space.apply("Secret", "secrets", "cacerts", stringData=texts | {"ca-crl.pem": ""})
        await space.until_revoked("")


async def test_a_wrong_secret_ends_the_start(space: Space, config: Path) -> None:
    await space.apply("Secret", "secrets", "cacerts", stringData={"ca-cert.pem": "nonsense", "ca-key.pem": "x"})
    pilot = Pilot(_settings(config, space.name))
    try:
        with pytest.raises(StartError, match=rf"^Secret {space.name}/cacerts/ca-key.pem: not an unencrypted"):
            await pilot.start()
    finally:
        await pilot.close()


async def test_who_cannot_be_judged_now_may_come_again(
    space: Space, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = await space.token("reviews", "istio-ca")
    async with running(config, space.name) as pilot:
        roots = await space.until_root(bool)
        with monkeypatch.context() as away:
            away.setattr(review, "PATH", "/apis/nowhere/tokenreviews")
            code, details = await refusal(pilot, roots, token)
            assert code == "UNAVAILABLE"
            assert details.startswith("the Kubernetes API cannot review the token: 404")
            away.setattr(review, "MAX_WAITING", 0)
            assert (await refusal(pilot, roots, token))[0] == "UNAVAILABLE"
        assert (await certified(pilot, roots, token)).identity.service_account == "reviews"


async def test_the_documented_rights_are_needed_and_enough(rights: Any, space: Space, tmp_path: Path) -> None:
    config = rights.kubeconfig(tmp_path)
    read, _, _, lead, trust, keep = rights.documented()
    rights.grant("read", read, inside=False)
    rights.grant("lead", lead, inside=True)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(2), running(config, space.name):
            pytest.fail("no authority without its Secret")
    rights.grant("keep", keep, inside=True)
    token = await space.token("reviews", "istio-ca")
    async with running(config, space.name) as pilot:
        assert pilot._authority is not None
        assert (await refusal(pilot, pilot._authority.roots, token))[0] == "UNAVAILABLE"
        assert await space.root() == ""
        rights.grant("trust", trust, inside=False)
        roots = await space.until_root(bool)
        await space.ask("DELETE", "configmaps/istio-ca-root-cert")
        await space.until_root(lambda root: root == roots)
        assert (await certified(pilot, roots, token)).identity.service_account == "reviews"
    # The next one only reads the Secret.
    async with running(config, space.name) as again:
        assert again._authority is not None
        assert again._authority.roots == roots
