"""Calls to Mixer over mutual TLS: what is shown, who is believed, and what new certificates change."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest
from fake_mixer import FakeMixer
from tls_authority import TestAuthority

from mizzen.attributes.bag import DictBag
from mizzen.proxy.app.mixer.addresses import Target
from mizzen.proxy.app.mixer.client import MixerCalls
from mizzen.proxy.app.mixer.contract import CallFailed, Question
from mizzen.proxy.engine.mixer_plan import TransportPlan
from mizzen.proxy.engine.tls_plan import SecretPlan
from mizzen.runtime.address import unused_port

HOST = "istio-policy.istio-system.svc.cluster.local"
ROOT = TestAuthority()
ONCE = TransportPlan()
PATIENT = TransportPlan(max_retry=100, base_retry_wait=0.02, max_retry_wait=0.05)
QUESTION = Question(DictBag({}), "id")


def serving(root: TestAuthority = ROOT, host: str = HOST) -> grpc.ServerCredentials:
    """A server of this name, that wants certificates of that root."""
    own = root.server(host)
    return grpc.ssl_server_credentials(
        ((own.key.encode(), own.chain.encode()),), root.roots().roots.encode(), require_client_auth=True
    )


class Identity:
    """What the proxy shows; replaced by a test."""

    def __init__(self, secret: SecretPlan | None = None) -> None:
        self.secret = secret or ROOT.secret("reviews")
        self._made: dict[str, grpc.ChannelCredentials] = {}

    async def credentials(self) -> grpc.ChannelCredentials:
        secret = self.secret
        pair = (secret.key.encode(), secret.chain.encode())
        return self._made.setdefault(secret.chain, grpc.ssl_channel_credentials(ROOT.roots().roots.encode(), *pair))


@asynccontextmanager
async def calls(port: int, identity: Identity | None) -> AsyncIterator[MixerCalls]:
    credentials = identity.credentials if identity is not None else None
    found = MixerCalls(lambda cluster: Target(f"ipv4:127.0.0.1:{port}", HOST), 10.0, credentials)
    try:
        yield found
    finally:
        await found.close()


@asynccontextmanager
async def mixer(credentials: grpc.ServerCredentials, port: int = 0) -> AsyncIterator[FakeMixer]:
    server = FakeMixer(port, credentials)
    await server.start()
    try:
        yield server
    finally:
        await server.close()


async def test_the_workloads_certificate_is_shown() -> None:
    identity = Identity()
    async with mixer(serving()) as server, calls(server.port, identity) as client:
        await client.check(ONCE, QUESTION)
        [(_, shown)] = server.peers
        assert shown == identity.secret.chain


@pytest.mark.parametrize(
    ("credentials", "secret"),
    [
        (serving(host="reviews.default.svc.cluster.local"), None),  # a certificate of the mesh, and not Mixer's
        (serving(TestAuthority()), None),  # another root
        (serving(), TestAuthority().secret("reviews")),  # ours is of another root
    ],
)
async def test_nothing_is_asked_of_a_stranger(credentials: Any, secret: SecretPlan | None) -> None:
    async with mixer(credentials) as server, calls(server.port, Identity(secret)) as client:
        with pytest.raises(CallFailed) as failed:
            await client.check(ONCE, QUESTION)
        assert failed.value.code == grpc.StatusCode.UNAVAILABLE.value[0]
        assert not server.checks


async def test_without_an_identity_it_is_said_what_is_missing() -> None:
    async with calls(1, None) as client:
        with pytest.raises(CallFailed, match=f"{HOST} wants a certificate, and this proxy has no identity"):
            await client.check(ONCE, QUESTION)


async def test_a_new_certificate_is_shown_and_calls_under_way_go_on() -> None:
    identity = Identity()
    async with mixer(serving()) as server, calls(server.port, identity) as client:
        arrived, go_on = asyncio.Event(), asyncio.Event()
        server.waits = (arrived, go_on)
        under_way = asyncio.create_task(client.check(ONCE, QUESTION))
        await asyncio.wait_for(arrived.wait(), 10)
        server.waits = None
        identity.secret = new = ROOT.secret("reviews")
        await client.check(ONCE, QUESTION)
        await client.check(ONCE, QUESTION)
        go_on.set()
        await under_way
        (first, old), (second, shown), (third, _) = server.peers
        assert (shown, old) == (new.chain, old)
        assert old != new.chain
        assert first != second
        assert second == third  # one new connection, not one for each call


async def test_it_finds_a_mixer_that_was_started_again() -> None:
    """With another certificate by the same root, as a new process has."""
    port = unused_port()
    async with calls(port, Identity()) as client:
        for _ in range(2):
            async with mixer(serving(), port) as server:
                await client.check(PATIENT, QUESTION)
                assert len(server.checks) == 1
