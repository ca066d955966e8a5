"""Authorizers of the mesh, asked over HTTP: behind a sidecar that takes nothing but mutual TLS."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from authorizers import Asker, asked_as
from tls_authority import TestAuthority
from tls_proxies import Proxy, application, http, proxy, static

from mizzen.proxy.engine.control import InquiredRequest, Inquiry
from mizzen.proxy.engine.ext_authz_plan import ExtAuthzPlan, HttpCall
from mizzen.proxy.engine.match_plan import StringMatch
from mizzen.proxy.engine.plan import (
    ChainMatch,
    ChainPlan,
    ChoicePlan,
    ListenerPlan,
    SniffPlan,
)
from mizzen.proxy.engine.tls_plan import (
    PLAINTEXT,
    NameMatch,
    SecretPlan,
    ServerTlsPlan,
    SocketsPlan,
    TlsPlan,
)

ROOT = TestAuthority()
IN_MESH = NameMatch("URI", StringMatch("prefix", "spiffe://cluster.local/"))
SERVER = ServerTlsPlan(TlsPlan("default", "ROOTCA", (IN_MESH,), ("http/1.1",)), requires_certificate=True)
REQUEST = InquiredRequest(b"GET", b"/", b"shop", b"http", "HTTP/1.1", b"Host: shop")
INQUIRY = Inquiry(1, ExtAuthzPlan(HttpCall("authz", 5.0)), 0.0, "10.0.0.7:1", "10.0.0.1:80", "", "", "", REQUEST)


@asynccontextmanager
async def authorizer(sockets: SocketsPlan, secrets: Iterable[SecretPlan]) -> AsyncIterator[tuple[Asker, Proxy]]:
    """It says yes to everybody who gets through its sidecar; an asker with these secrets, and the sidecar."""
    chain = ChainPlan("in", ChainMatch(transport="tls"), http("app"), SERVER)
    listener = ListenerPlan("in", "127.0.0.1", 1, "inbound", ChoicePlan((chain,)), sniff=SniffPlan(tls=((1, 65536),)))
    async with (
        application() as (port, _),
        proxy(listener, static("app", port), ROOT.secret("authz"), ROOT.roots()) as sidecar,
    ):
        asker = Asker(sidecar.port, sockets)
        asker.learn(*secrets)
        yield asker, sidecar


async def test_an_authorizer_that_takes_mutual_tls_alone_is_asked() -> None:
    async with authorizer(asked_as("authz"), (ROOT.secret("gateway"), ROOT.roots())) as (asker, sidecar):
        assert (await asker.ask(INQUIRY)).allowed
        assert sidecar.count("ssl.handshake") == 1


async def test_it_gets_no_question_in_plain_text() -> None:
    async with authorizer(PLAINTEXT, ()) as (asker, _):
        assert (await asker.ask(INQUIRY)).failure


async def test_whoever_is_not_the_authorizer_is_not_believed() -> None:
    async with authorizer(asked_as("another"), (ROOT.secret("gateway"), ROOT.roots())) as (asker, _):
        answer = await asker.ask(INQUIRY)
        assert not answer.allowed
        assert "spiffe://cluster.local/ns/default/sa/authz, which is not who is expected" in answer.failure


async def test_without_a_certificate_there_is_no_verdict_until_there_is_one() -> None:
    async with authorizer(asked_as("authz"), ()) as (asker, _):
        assert (await asker.ask(INQUIRY)).failure == "this proxy has no secret 'default' yet"
        asker.learn(ROOT.secret("gateway"), ROOT.roots())
        assert (await asker.ask(INQUIRY)).allowed


async def test_a_new_certificate_is_shown_from_then_on() -> None:
    stranger = TestAuthority()
    secrets = (stranger.secret("gateway"), ROOT.roots())
    async with authorizer(asked_as("authz"), secrets) as (asker, _), asker.desk() as desk:
        assert (await desk.ask(INQUIRY)).failure
        asker.learn(ROOT.secret("gateway"))
        assert (await desk.ask(INQUIRY)).allowed
