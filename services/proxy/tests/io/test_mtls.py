"""Two proxies that speak mutual TLS over real sockets: who gets in, and what survives a new certificate."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from tls_authority import TestAuthority
from tls_proxies import GET, Proxy, application, ask, get, http, proxy, static, tcp

from mizzen.identity.inmemory import load_pair, load_roots
from mizzen.proxy.engine.match_plan import StringMatch
from mizzen.proxy.engine.plan import (
    ChainMatch,
    ChainPlan,
    ChoicePlan,
    ClientCertPlan,
    HttpPlan,
    ListenerPlan,
    SniffPlan,
    TcpPlan,
)
from mizzen.proxy.engine.rbac_plan import AllOf, AnyOf, Anything, Authenticated, PolicyPlan, RbacPlan, UrlPath
from mizzen.proxy.engine.tls_plan import (
    ClientTlsPlan,
    NameMatch,
    SecretPlan,
    ServerTlsPlan,
    SocketMatch,
    SocketsPlan,
    TlsPlan,
)
from mizzen.proxy.io.telemetry import read_key

ROOT, STRANGER = TestAuthority(), TestAuthority()
ISTIO_PROTOCOLS = ("istio", "istio-peer-exchange", "istio-http/1.0", "istio-http/1.1", "istio-h2")
IN_MESH = NameMatch("URI", StringMatch("prefix", "spiffe://cluster.local/"))
IS_REVIEWS = NameMatch("URI", StringMatch("exact", "spiffe://cluster.local/ns/default/sa/reviews"))
SERVER = ServerTlsPlan(TlsPlan("default", "ROOTCA", (IN_MESH,), ("http/1.1",)), requires_certificate=True)
CLIENT = ClientTlsPlan(
    TlsPlan("default", "ROOTCA", (IS_REVIEWS,), ("istio-peer-exchange", "istio")),
    "outbound_.9080_._.reviews.default.svc.cluster.local",
)
AUTO = SocketsPlan((SocketMatch((("tlsMode", "istio"),), CLIENT), SocketMatch((), None)))
SAYS_ISTIO = frozenset({("tlsMode", "istio")})


PRODUCTPAGE = "spiffe://cluster.local/ns/default/sa/productpage"
NAMES_CLIENT = ClientCertPlan("append_forward", subject=True, uri=True, dns=True)


def allow(*identities: str) -> RbacPlan:
    """Only these clients get in."""
    who = AnyOf(tuple(Authenticated(StringMatch("exact", each)) for each in identities))
    return RbacPlan("ALLOW", (PolicyPlan("ns[default]-policy[clients]-rule[0]", AllOf((Anything(), who))),))


def inbound(handler: HttpPlan | TcpPlan, *, strict: bool = False, tls: ServerTlsPlan = SERVER) -> ListenerPlan:
    encrypted = ChainPlan("in", ChainMatch(transport="tls"), handler, tls)
    if not strict:
        encrypted = replace(encrypted, match=ChainMatch(transport="tls", protocols=ISTIO_PROTOCOLS))
    plain = () if strict else (ChainPlan("in", ChainMatch(transport="raw_buffer"), handler),)
    chains = ChoicePlan((encrypted, *plain))
    return ListenerPlan("in", "127.0.0.1", 1, "inbound", chains, sniff=SniffPlan(tls=((1, 65536),)))


@asynccontextmanager
async def mesh(
    server: Iterable[SecretPlan],
    client: Iterable[SecretPlan],
    *,
    sockets: SocketsPlan = AUTO,
    says: Any = SAYS_ISTIO,
    strict: bool = False,
    tls: ServerTlsPlan = SERVER,
    handler: HttpPlan | None = None,
) -> AsyncIterator[tuple[Proxy, Proxy, list[bytes]]]:
    """The proxies of a client and of reviews, and what reviews got."""
    async with application() as (port, heads):
        listener = inbound(handler or http("app"), strict=strict, tls=tls)
        async with proxy(listener, static("app", port), *server) as behind:
            outbound = ListenerPlan("out", "127.0.0.1", 1, "outbound", http("reviews"))
            cluster = static("reviews", behind.port, sockets, says)
            async with proxy(outbound, cluster, *client) as front:
                yield front, behind, heads


def good() -> tuple[tuple[SecretPlan, ...], tuple[SecretPlan, ...]]:
    return (ROOT.secret("reviews"), ROOT.roots()), (ROOT.secret("productpage"), ROOT.roots())


async def test_a_request_goes_through_mutual_tls() -> None:
    async with mesh(*good()) as (front, behind, _):
        assert await get(front.port) == (200, b"hello")
        assert behind.count("ssl.handshake") == 1


async def test_an_endpoint_that_says_nothing_gets_plain_text() -> None:
    async with mesh(*good(), says=frozenset()) as (front, behind, _):
        assert await get(front.port) == (200, b"hello")
        assert behind.count("ssl.handshake") == 0


async def test_strict_lets_nobody_in_with_plain_text() -> None:
    async with mesh(*good(), says=frozenset(), strict=True) as (front, behind, heads):
        assert (await get(front.port))[0] == 503
        assert behind.count("no_filter_chain_match") > 0
        assert heads == []


async def test_who_speaks_mutual_tls_goes_on_when_it_becomes_strict_and_plain_text_does_not() -> None:
    async with mesh(*good()) as (front, behind, heads), asyncio.timeout(20):
        of_mesh = await asyncio.open_connection("127.0.0.1", front.port)
        plain = await asyncio.open_connection("127.0.0.1", behind.port)
        assert await ask(*of_mesh) == await ask(*plain) == (200, b"hello")
        await behind.apply(inbound(http("app"), strict=True))
        assert await plain[0].read() == b""
        assert await ask(*of_mesh) == (200, b"hello")
        assert behind.count("ssl.handshake") == 1
        assert len(heads) == 3
        for _, writer in (of_mesh, plain):
            writer.close()
            await writer.wait_closed()


async def test_a_byte_stream_goes_on_when_it_becomes_strict_unless_it_is_denied_now() -> None:
    server, client = good()
    outbound = ListenerPlan("out", "127.0.0.1", 1, "outbound", tcp("reviews"))
    async with (
        application() as (port, _),
        proxy(inbound(tcp("app")), static("app", port), *server) as behind,
        proxy(outbound, static("reviews", behind.port, AUTO, SAYS_ISTIO), *client) as front,
        asyncio.timeout(20),
    ):
        stream = await asyncio.open_connection("127.0.0.1", front.port)
        assert await ask(*stream) == (200, b"hello")
        await behind.apply(inbound(tcp("app"), strict=True))
        assert await ask(*stream) == (200, b"hello")
        denies = replace(tcp("app"), guards=(allow("spiffe://cluster.local/ns/default/sa/ratings"),))
        await behind.apply(inbound(denies))
        assert await stream[0].read() == b""
        assert behind.count("ssl.handshake") == 1
        stream[1].close()
        await stream[1].wait_closed()


GRPC = http("app")
READS = RbacPlan("DENY", (PolicyPlan("p", UrlPath(StringMatch("exact", "/secret"))),))
JUDGED = replace(GRPC, guards=(READS,))


async def test_bytes_that_are_requests_are_cut_when_a_policy_reads_requests_and_the_port_becomes_strict_at_once() -> (
    None
):
    server, client = good()
    outbound = ListenerPlan("out", "127.0.0.1", 1, "outbound", tcp("reviews"))
    async with (
        application() as (port, _),
        proxy(inbound(GRPC), replace(static("app", port), http2=True), *server) as behind,
        proxy(outbound, static("reviews", behind.port, AUTO, SAYS_ISTIO), *client) as front,
        asyncio.timeout(20),
    ):
        stream = await asyncio.open_connection("127.0.0.1", front.port)
        assert await ask(*stream) == (200, b"hello")
        await behind.apply(inbound(JUDGED, strict=True))
        assert await stream[0].read() == b""
        stream[1].close()
        await stream[1].wait_closed()


SIMPLE = ListenerPlan("in", "127.0.0.1", 1, "inbound", GRPC)


@pytest.mark.parametrize(
    "plans",
    [
        (inbound(GRPC), inbound(JUDGED, strict=True)),
        (inbound(GRPC), inbound(GRPC, strict=True), inbound(JUDGED, strict=True)),
        (SIMPLE, inbound(JUDGED)),
        (SIMPLE, inbound(GRPC), inbound(JUDGED)),
    ],
)
async def test_requests_as_bytes_that_no_filter_chain_takes_any_more_are_cut_by_a_policy_all_the_same(
    plans: tuple[ListenerPlan, ...],
) -> None:
    async with (
        application() as (port, _),
        proxy(plans[0], replace(static("app", port), http2=True), *good()[0]) as behind,
        asyncio.timeout(20),
    ):
        reader, writer = await asyncio.open_connection("127.0.0.1", behind.port)
        for plan in plans[:-1]:
            await behind.apply(plan)
            assert await ask(reader, writer) == (200, b"hello")
        await behind.apply(plans[-1])
        assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()


@pytest.mark.parametrize("stays", [True, False])
async def test_a_handshake_under_way_ends_well_when_it_becomes_strict(stays: bool) -> None:
    server, _ = good()
    async with application() as (port, _), proxy(inbound(http("app")), static("app", port), *server) as behind:
        client = Shaking(ROOT.secret("productpage"), ROOT.roots())
        async with asyncio.timeout(20):
            await client.greet(behind.port)
            if stays:
                await behind.apply(inbound(http("app"), strict=True))
            else:
                await behind.apply(inbound(tcp("app"), strict=True))
            assert (b"hello" in await client.ask(GET)) == stays


class Shaking:
    """A client of the mesh that stops in the middle of its handshake."""

    def __init__(self, own: SecretPlan, roots: SecretPlan) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        load_pair(context, own.chain, own.key)
        load_roots(context, roots.roots)
        context.set_alpn_protocols(["istio"])
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing)

    async def greet(self, port: int) -> None:
        """Say hello and hear the answer."""
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", port)
        _is_done(self._tls.do_handshake)
        self._writer.write(self._outgoing.read())
        self._incoming.write(await self._reader.read(1 << 16))

    async def ask(self, request: bytes) -> bytes:
        """End the handshake and ask; the answer, or nothing."""
        while not _is_done(self._tls.do_handshake):
            self._writer.write(self._outgoing.read())
            self._incoming.write(await self._reader.read(1 << 16))
        self._tls.write(request)
        self._writer.write(self._outgoing.read())
        answer = b""
        while b"hello" not in answer and (data := await self._reader.read(1 << 16)):
            self._incoming.write(data)
            with suppress(ssl.SSLWantReadError, ssl.SSLZeroReturnError):
                answer += self._tls.read(1 << 16)
        self._writer.close()
        with suppress(ConnectionError):
            await self._writer.wait_closed()
        return answer


STOLEN, STOLEN_BY_CLIENT = ROOT.secret("reviews"), ROOT.secret("productpage")
"""Keys that are known to have been stolen."""


@pytest.mark.parametrize(
    ("server", "client", "reason"),
    [
        ((ROOT.secret("ratings"), ROOT.roots()), None, b"not who is expected here"),
        ((STRANGER.secret("reviews"), ROOT.roots()), None, b"unable to get local issuer certificate"),
        ((ROOT.secret("reviews", timedelta(hours=-1)), ROOT.roots()), None, b"certificate has expired"),
        (None, (STRANGER.secret("productpage"), ROOT.roots()), b""),
        (None, (ROOT.secret("productpage", timedelta(hours=-1)), ROOT.roots()), b""),
        (
            (STOLEN, ROOT.roots()),
            (ROOT.secret("productpage"), replace(ROOT.roots(), crl=ROOT.revoked(STOLEN))),
            b"certificate revoked",
        ),
        (
            (ROOT.secret("reviews"), replace(ROOT.roots(), crl=ROOT.revoked(STOLEN_BY_CLIENT))),
            (STOLEN_BY_CLIENT, ROOT.roots()),
            b"",
        ),
        (None, (), b"this proxy has no secret 'default' yet"),
        ((), None, b""),
        (None, (ROOT.odd(b"spiffe://cluster.local/\xff"), ROOT.roots()), b""),
        (None, (ROOT.odd(b"spiffe://cluster.local/a\r\nx-user: root"), ROOT.roots()), b""),
        ((ROOT.odd(b"spiffe://cluster.local/\0"), ROOT.roots()), None, b"names that cannot be read"),
    ],
    ids=[
        "other identity",
        "other root",
        "expired",
        "client's other root",
        "client expired",
        "revoked",
        "client revoked",
        "no client's",
        "none",
        "no UTF-8",
        "lines",
        "NUL",
    ],
)
async def test_a_certificate_that_is_not_good_carries_no_request(server: Any, client: Any, reason: bytes) -> None:
    good_server, good_client = good()
    async with mesh(
        good_server if server is None else server, good_client if client is None else client, strict=True
    ) as (front, _, heads):
        status, body = await get(front.port)
        assert status == 503
        assert reason in body
        assert heads == []


async def test_a_client_of_another_trust_domain_is_refused() -> None:
    elsewhere = NameMatch("URI", StringMatch("prefix", "spiffe://other.example/"))
    tls = replace(SERVER, common=replace(SERVER.common, names=(elsewhere,)))
    async with mesh(*good(), strict=True, tls=tls) as (front, behind, heads):
        assert (await get(front.port))[0] == 503
        assert behind.count("ssl.fail_verify_san") > 0
        assert behind.count("ssl.connection_error") == 0
        assert heads == []


async def test_a_client_without_a_certificate_is_refused() -> None:
    anonymous = SocketsPlan((), replace(CLIENT, common=replace(CLIENT.common, certificate="")))
    async with mesh(*good(), sockets=anonymous, strict=True) as (front, behind, heads):
        assert (await get(front.port))[0] == 503
        assert behind.count("ssl.fail_verify_no_cert") > 0
        assert heads == []


async def test_the_application_learns_who_calls_and_whoever_lies_is_found_out() -> None:
    names = replace(http("app"), client_cert=NAMES_CLIENT)
    forged = GET[:-2] + b"X-Forwarded-Client-Cert: By=forged\r\n\r\n"
    async with mesh(*good(), handler=names) as (front, behind, heads):
        assert await get(front.port, forged) == (200, b"hello")  # its sidecar takes out what the client says
        assert b"forged" not in heads[0]
        (value,) = (each for each in heads[0].split(b"\r\n") if each.lower().startswith(b"x-forwarded-client-cert: "))
        by, digest, *rest = value.partition(b": ")[2].decode().split(";")
        assert by == "By=spiffe://cluster.local/ns/default/sa/reviews"
        assert len(digest) == len("Hash=") + 64
        assert rest == ['Subject=""', f"URI={PRODUCTPAGE}"]
        assert await get(behind.port, forged) == (200, b"hello")  # in plain text, past the client's sidecar
        assert b"client-cert" not in heads[1].lower()


@pytest.mark.parametrize("says", [SAYS_ISTIO, frozenset()], ids=["mutual TLS", "plain text"])
@pytest.mark.parametrize("allowed", [PRODUCTPAGE, "spiffe://cluster.local/ns/default/sa/ratings"])
async def test_only_a_proved_identity_that_is_allowed_gets_in(says: Any, allowed: str) -> None:
    guarded = replace(http("app"), guards=(allow(allowed),))
    async with mesh(*good(), handler=guarded, says=says) as (front, behind, heads):
        status, answer = await get(front.port)
        if says and allowed == PRODUCTPAGE:
            assert (status, len(heads)) == (200, 1)
            assert behind.count("rbac.allowed", "http") == 1
        else:
            assert (status, heads) == (403, [])
            assert behind.count("rbac.denied", "http") == 1
            assert b"no policy allows it" in answer


async def test_a_denied_byte_stream_is_closed() -> None:
    server, client = good()
    guarded = replace(tcp("app"), guards=(allow("spiffe://cluster.local/ns/default/sa/ratings"),))
    outbound = ListenerPlan("out", "127.0.0.1", 1, "outbound", tcp("reviews"))
    async with (
        application() as (port, heads),
        proxy(inbound(guarded, strict=True), static("app", port), *server) as behind,
        proxy(outbound, static("reviews", behind.port, AUTO, SAYS_ISTIO), *client) as front,
    ):
        reader, writer = await asyncio.open_connection("127.0.0.1", front.port)
        writer.write(GET)
        async with asyncio.timeout(20):
            assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()
        assert behind.count("rbac.denied", "tcp") == 1
        assert heads == []


async def test_metrics_tell_who_called() -> None:
    async with mesh(*good()) as (front, behind, _):
        assert await get(front.port) == (200, b"hello")
        keys = [read_key(name) for scope, name, _ in behind.runtime.stats(1).counters if scope == "istio"]
        assert {key[6] for key in keys} == {PRODUCTPAGE}


async def test_both_certificates_change_under_a_connection_that_stays() -> None:
    (_, roots), (_, _) = good()
    async with mesh(*good()) as (front, behind, heads):
        reader, writer = await asyncio.open_connection("127.0.0.1", front.port)
        assert await ask(reader, writer) == (200, b"hello")
        await behind.apply(ROOT.secret("reviews"), roots)
        await front.apply(ROOT.secret("productpage"), roots)
        assert await ask(reader, writer) == (200, b"hello")
        assert behind.count("ssl.handshake") == 1  # the same connection between the proxies
        writer.close()
        await writer.wait_closed()
        assert len(heads) == 2


async def test_a_new_root_comes_before_the_old_one_goes() -> None:
    both = ROOT.roots(STRANGER)
    async with mesh(*good()) as (front, behind, _):
        for step in (
            (behind, both),
            (front, both),
            (behind, STRANGER.secret("reviews")),
            (front, STRANGER.secret("productpage")),
            (behind, STRANGER.roots()),
            (front, STRANGER.roots()),
        ):
            await step[0].apply(step[1])
            front.runtime.clusters["reviews"].close_idle()
            assert await get(front.port) == (200, b"hello")
        assert behind.count("ssl.handshake") == 6
        assert behind.count("ssl.connection_error") == 0


async def test_a_secret_that_cannot_be_read_leaves_the_last_one() -> None:
    async with mesh(*good()) as (front, behind, _):
        with pytest.raises(ValueError, match="secret default"):
            await behind.apply(SecretPlan("default", "no certificate", "no key"))
        assert await get(front.port) == (200, b"hello")


@pytest.mark.parametrize("version", ["1.2", "1.3"])
async def test_the_second_handshake_is_a_short_one(version: Any) -> None:
    (server, client) = good()
    tls = replace(SERVER, common=replace(SERVER.common, highest=version))
    async with mesh(server, client, tls=tls) as (front, behind, _):
        for _ in range(3):
            assert await get(front.port) == (200, b"hello")
            front.runtime.clusters["reviews"].close_idle()
        assert behind.count("ssl.handshake") == front.count("ssl.handshake", "cluster") == 3
        assert behind.count("ssl.session_reused") == front.count("ssl.session_reused", "cluster") == 2
        assert behind.count(f"ssl.versions.TLSv{version}") == 3


async def test_a_new_certificate_begins_sessions_anew() -> None:
    (server, client) = good()
    async with mesh(server, client) as (front, behind, _):
        assert await get(front.port) == (200, b"hello")
        await front.apply(ROOT.secret("productpage"))
        front.runtime.clusters["reviews"].close_idle()
        assert await get(front.port) == (200, b"hello")
        assert behind.count("ssl.session_reused") == 0


async def test_bytes_end_in_one_direction_and_go_on_in_the_other() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        question = await reader.read()  # until the client's half of the connection ends
        writer.write(question.upper() * 100)
        writer.close()

    application = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = application.sockets[0].getsockname()[1]
    server, client = good()
    async with proxy(inbound(tcp("app"), strict=True), static("app", port), *server) as behind:
        outbound = ListenerPlan("out", "127.0.0.1", 1, "outbound", tcp("reviews"))
        cluster = static("reviews", behind.port, AUTO, SAYS_ISTIO)
        async with proxy(outbound, cluster, *client) as front, asyncio.timeout(20):
            reader, writer = await asyncio.open_connection("127.0.0.1", front.port)
            writer.write(b"question" * 10_000)
            writer.write_eof()
            assert await reader.read() == b"QUESTION" * 1_000_000
            writer.close()
            await writer.wait_closed()
    application.close()


@pytest.mark.parametrize(("says_goodbye", "answer"), [(True, b"QUESTION"), (False, b"")])
async def test_a_client_may_end_its_half_of_tls_and_of_the_connection(says_goodbye: bool, answer: bytes) -> None:
    """Who ends the connection alone may have been cut off, and gets no answer."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        question = await reader.read()
        writer.write(question.upper())
        writer.close()

    application = await asyncio.start_server(serve, "127.0.0.1", 0)
    simple = replace(SERVER, common=replace(SERVER.common, roots="", names=()), requires_certificate=False)
    listener = inbound(tcp("app"), strict=True, tls=simple)
    app = static("app", application.sockets[0].getsockname()[1])
    async with proxy(listener, app, *good()[0]) as behind, asyncio.timeout(20):
        found = await asyncio.to_thread(half_closed, behind.port, says_goodbye)
    application.close()
    assert found == answer


def half_closed(port: int, says_goodbye: bool) -> bytes:
    """What a client still gets that asked, and then ended its half of everything."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing)
    answer = b""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as raw:
        while not _is_done(tls.do_handshake):
            raw.sendall(outgoing.read())
            incoming.write(raw.recv(1 << 16))
        tls.write(b"question")
        if says_goodbye:
            _is_done(tls.unwrap)
        raw.sendall(outgoing.read())
        raw.shutdown(socket.SHUT_WR)
        while data := raw.recv(1 << 16):
            incoming.write(data)
    with suppress(ssl.SSLError):
        while data := tls.read(1 << 16):
            answer += data
    return answer


def _is_done(step: Callable[[], object]) -> bool:
    try:
        step()
    except ssl.SSLWantReadError:
        return False
    return True


async def test_a_peer_that_stops_in_the_handshake_is_not_waited_for() -> None:
    server, _ = good()
    hasty = replace(SERVER, handshake_timeout=0.05)
    async with proxy(inbound(http("app"), strict=True, tls=hasty), static("app", 1), *server) as behind:
        reader, writer = await asyncio.open_connection("127.0.0.1", behind.port)
        outgoing = ssl.MemoryBIO()
        hello = ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="reviews")
        with pytest.raises(ssl.SSLWantReadError):
            hello.do_handshake()
        writer.write(outgoing.read())
        async with asyncio.timeout(20):
            await reader.read()
        assert behind.count("downstream_cx_transport_socket_connect_timeout") == 1
        writer.close()
        await writer.wait_closed()


def test_a_key_is_in_no_log() -> None:
    assert "PRIVATE" not in repr(ROOT.secret("reviews"))
