"""An authorizer that speaks gRPC, behind a sidecar that has no codec for HTTP/2, asked in mutual TLS."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import pytest
from authorizers import Asker, asked_as, serve
from envoy.service.auth.v3 import external_auth_pb2
from tls_authority import TestAuthority
from tls_proxies import Proxy, http, proxy, static

from mizzen.identity.inmemory import load_pair, load_roots
from mizzen.proxy.app.extauthz.desk import InquiryDesk
from mizzen.proxy.engine.control import InquiredRequest, Inquiry
from mizzen.proxy.engine.ext_authz_plan import ExtAuthzPlan, GrpcCall
from mizzen.proxy.engine.match_plan import StringMatch
from mizzen.proxy.engine.plan import ChainMatch, ChainPlan, ChoicePlan, GuardPlan, ListenerPlan, SniffPlan
from mizzen.proxy.engine.rbac_plan import Authenticated, PolicyPlan, RbacPlan, Rule, UrlPath
from mizzen.proxy.engine.tls_plan import NameMatch, ServerTlsPlan, TlsPlan

ROOT = TestAuthority()
IN_MESH = NameMatch("URI", StringMatch("prefix", "spiffe://cluster.local/"))
SERVER = ServerTlsPlan(TlsPlan("default", "ROOTCA", (IN_MESH,), ("h2", "http/1.1")), requires_certificate=True)
REQUEST = InquiredRequest(b"GET", b"/", b"shop", b"http", "HTTP/1.1", b"Host: shop")
INQUIRY = Inquiry(1, ExtAuthzPlan(GrpcCall("authz", 5.0)), 0.0, "10.0.0.7:1", "10.0.0.1:80", "", "", "", REQUEST)


def only(rule: Rule) -> tuple[GuardPlan, ...]:
    return (RbacPlan("ALLOW", (PolicyPlan("p", rule),)),)


def caller(account: str) -> tuple[GuardPlan, ...]:
    return only(Authenticated(StringMatch("exact", f"spiffe://cluster.local/ns/default/sa/{account}")))


def listener(*guards: GuardPlan) -> ListenerPlan:
    """A port declared grpc in a mesh that is STRICT."""
    chain = ChainPlan("in", ChainMatch(transport="tls"), replace(http("app"), guards=guards), SERVER)
    return ListenerPlan("in", "127.0.0.1", 1, "inbound", ChoicePlan((chain,)), sniff=SniffPlan(tls=((1, 65536),)))


@dataclass
class Sidecar:
    """Of the authorizer, and who asks through it."""

    made: Proxy
    desk: InquiryDesk

    async def answers(self) -> bool:
        return (await self.desk.ask(INQUIRY)).allowed


@asynccontextmanager
async def sidecar(*guards: GuardPlan, http2: bool = True) -> AsyncIterator[Sidecar]:
    async def check(request: Any, context: Any) -> Any:
        return external_auth_pb2.CheckResponse()

    async with serve(check) as port:
        app = replace(static("app", port), http2=http2)
        async with proxy(listener(*guards), app, ROOT.secret("authz"), ROOT.roots()) as made:
            asker = Asker(made.port, asked_as("authz", "istio-peer-exchange", "istio", "h2"))
            asker.learn(ROOT.secret("gateway"), ROOT.roots())
            async with asker.desk() as desk:
                yield Sidecar(made, desk)


async def test_it_is_asked() -> None:
    async with sidecar() as there:
        assert await there.answers()
        assert there.made.count("ssl.handshake") == 1


@pytest.mark.parametrize(("http2", "agreed"), [(True, "h2"), (False, "http/1.1")])
async def test_tls_agrees_on_what_the_application_takes(http2: bool, agreed: str) -> None:
    client = ROOT.secret("gateway")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False  # it has a SPIFFE id alone
    load_roots(context, ROOT.roots().roots)
    load_pair(context, client.chain, client.key)
    context.set_alpn_protocols(["http/1.1", "h2"])
    async with sidecar(http2=http2) as there:
        _, writer = await asyncio.open_connection("127.0.0.1", there.made.port, ssl=context, server_hostname="a")
        assert writer.get_extra_info("ssl_object").selected_alpn_protocol() == agreed
        writer.transport.abort()  # the application may be speaking already


async def test_policies_about_who_asks_are_kept() -> None:
    async with sidecar(*caller("gateway")) as there:
        assert await there.answers()
    async with sidecar(*caller("another")) as there:
        assert not await there.answers()
        assert there.made.count("rbac.denied", "tcp") >= 1


async def test_policies_about_requests_are_not_gone_around() -> None:
    async with sidecar(*only(UrlPath(StringMatch("prefix", "/")))) as there:
        assert not await there.answers()


async def test_a_policy_that_comes_later_ends_what_is_open() -> None:
    for guards in (only(UrlPath(StringMatch("prefix", "/"))), caller("another")):
        async with sidecar() as there:
            assert await there.answers()
            await there.made.apply(listener(*guards))
            async with asyncio.timeout(20):
                while there.made.runtime.listeners["in"].connections:  # noqa: ASYNC110 - the runtime tells nobody
                    await asyncio.sleep(0.01)
            assert not await there.answers()


async def test_an_application_that_takes_http_2_from_now_on() -> None:
    async with sidecar(http2=False) as there:
        assert not await there.answers()
        cluster = there.made.runtime.clusters["app"].plan
        await there.made.apply(replace(cluster, http2=True))
        async with asyncio.timeout(20):
            while not await there.answers():  # noqa: ASYNC110 - gRPC's client waits a little between attempts
                await asyncio.sleep(0.05)
