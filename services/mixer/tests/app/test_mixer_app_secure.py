"""Mixer with an identity: asked for with a token, and kept good."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from mixer_authority import HOST, MIXER, REVIEWS, Authority
from prometheus_client import CollectorRegistry

from mizzen.api.store.layers import Layers
from mizzen.attributes.compressed import encode
from mizzen.identity.keeping.settings import IdentitySettings
from mizzen.mixer.app.mixer import MixerService, live
from mizzen.mixer.app.settings import SecureSettings, Settings
from mizzen.mixer.runtime.engine import RuleEngine
from mizzen.proto.mixer_pb2 import CheckRequest, CheckResponse
from mizzen.runtime.address import Address, unused_port
from mizzen.runtime.errors import StartError
from mizzen.runtime.lifecycle import Lifecycle

SECONDS = 10
ANYWHERE = Address("127.0.0.1", 0)
UID = "kubernetes://reviews-1.default"
INBOUND = {"context.reporter.kind": "inbound", "context.reporter.uid": UID}


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., MixerService]:
    """A Mixer without rules, whose authority is at this address."""

    def build(
        authority: Authority, where: Address, address: Address | None = None, secure: Address = ANYWHERE
    ) -> MixerService:
        roots, token = tmp_path / "root-cert.pem", tmp_path / "token"
        roots.write_text(authority.roots)
        token.write_text("a token")
        identity = IdentitySettings(MIXER, where, roots, token)
        settings = Settings(
            address, ANYWHERE, None, secure=SecureSettings(secure, identity, frozenset({MIXER.trust_domain}))
        )
        return MixerService(settings, RuleEngine(Layers([]), "istio-system"), CollectorRegistry())

    return build


@asynccontextmanager
async def running(mixer: MixerService) -> AsyncIterator[MixerService]:
    lifecycle = Lifecycle()
    task = asyncio.create_task(live(mixer, lifecycle))
    try:
        yield mixer
    finally:
        lifecycle.stop("the test is over")
        await task


async def until(holds: Callable[[], Any]) -> None:
    async with asyncio.timeout(SECONDS):
        while not holds():  # noqa: ASYNC110 - what it waits for has no event
            await asyncio.sleep(0.01)


async def check(address: Address | None, credentials: Any = None) -> str:
    """The code of a check in the name of reviews."""
    options = (("grpc.ssl_target_name_override", HOST),)
    target = str(address)
    channel = (
        grpc.aio.secure_channel(target, credentials, options) if credentials else grpc.aio.insecure_channel(target)
    )
    async with channel:
        call = channel.unary_unary(
            "/istio.mixer.v1.Mixer/Check", CheckRequest.SerializeToString, CheckResponse.FromString
        )
        try:
            await call(CheckRequest(attributes=encode(INBOUND)), timeout=SECONDS)
        except grpc.aio.AioRpcError as error:
            return error.code().name
    return "OK"


async def test_it_gets_a_certificate_by_its_token_and_serves_by_it(make: Callable[..., MixerService]) -> None:
    authority = Authority()
    async with authority.serving() as where, running(make(authority, where)) as mixer:
        await until(lambda: mixer.secure.address)
        assert authority.tokens == ["a token"]
        assert await check(mixer.secure.address, authority.proof(REVIEWS).for_channels()) == "OK"
        assert mixer.server is None
        assert mixer._reason() == ""


async def test_it_shows_each_new_certificate(make: Callable[..., MixerService]) -> None:
    """A life of two seconds is half over after one; the next is asked for with the first."""
    authority = Authority()
    async with authority.serving(timedelta(seconds=2)) as where, running(make(authority, where)) as mixer:
        await until(lambda: mixer.secure.address)
        first = await shown(mixer.secure.address)
        await until(lambda: len(authority.tokens) >= 2)
        assert authority.tokens[:2] == ["a token", ""]
        async with asyncio.timeout(SECONDS):
            while await shown(mixer.secure.address) == first:  # noqa: ASYNC110 - a server is asked
                await asyncio.sleep(0.01)
        assert await check(mixer.secure.address, authority.proof(REVIEWS).for_channels()) == "OK"


async def shown(address: Address | None) -> str:
    """The server's certificate."""
    assert address is not None
    return await asyncio.to_thread(ssl.get_server_certificate, tuple(address), timeout=SECONDS)


async def test_while_the_authority_is_away_only_plain_text_is_served(make: Callable[..., MixerService]) -> None:
    nobody = Address("127.0.0.1", unused_port())
    async with running(make(Authority(), nobody, ANYWHERE)) as mixer:
        await until(lambda: "UNAVAILABLE" in mixer._reason())
        assert mixer._reason().startswith("Mixer has no certificate yet: ")
        assert mixer.secure.address is None
        assert await check(mixer.server.address) == "OK"


async def test_a_taken_port_ends_it(make: Callable[..., MixerService]) -> None:
    port = unused_port()
    taken = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", port)
    mixer = make(Authority(), ANYWHERE, None, Address("127.0.0.1", port))
    try:
        with pytest.raises(StartError, match=f"127.0.0.1:{port} is taken by another process"):
            await live(mixer, Lifecycle())
    finally:
        taken.close()
        with suppress(TimeoutError):
            await asyncio.wait_for(taken.wait_closed(), SECONDS)


async def test_a_port_that_is_taken_meanwhile_ends_it_too(make: Callable[..., MixerService]) -> None:
    authority, port = Authority(), unused_port()
    async with authority.serving() as where:
        mixer = make(authority, where, None, Address("127.0.0.1", port))
        mixer.secure.prepare = lambda: None  # as if it had been free then
        taken = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", port)
        try:
            with pytest.raises(StartError, match=f"127.0.0.1:{port} is taken by another process"):
                await live(mixer, Lifecycle())
        finally:
            taken.close()
            await taken.wait_closed()
