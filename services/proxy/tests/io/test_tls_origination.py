"""TLS that the proxy begins for its clients, to servers of the standard library: whom it asks for, whom it believes."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any

import pytest
from tls_authority import TestAuthority
from tls_proxies import Proxy, application, get, http, proxy, static

from mizzen.identity.inmemory import load_pair, load_roots
from mizzen.proxy.engine.match_plan import StringMatch
from mizzen.proxy.engine.peer import WRONG_NAMES
from mizzen.proxy.engine.plan import ListenerPlan
from mizzen.proxy.engine.tls_plan import ClientTlsPlan, NameMatch, SecretPlan, SocketsPlan, TlsPlan
from mizzen.proxy.io.tls_contexts import TlsContexts

ROOT, STRANGER = TestAuthority(), TestAuthority()
ROOTS = replace(ROOT.roots(), name="file-root:system")
CLIENT = replace(ROOT.secret("egress"), name="file-cert:a~b")
CHECKED = TlsPlan(roots=ROOTS.name)
BY_HOST = SocketsPlan((), ClientTlsPlan(CHECKED), host_is_server_name=True, host_is_peer_name=True)


@dataclass
class Server:
    """An HTTPS server, and what it saw."""

    port: int = 0
    names: list[str | None] = field(default_factory=list)
    """SNI of each handshake."""
    hosts: list[str] = field(default_factory=list)
    """Host of each request, with the number of its connection."""
    clients: list[Any] = field(default_factory=list)
    """Alternative names of the clients' certificates."""
    resumed: list[bool] = field(default_factory=list)


@asynccontextmanager
async def serving(certificate: SecretPlan, *, mutual: bool = False, lowest: Any = None) -> AsyncIterator[Server]:
    seen = Server()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    load_pair(context, certificate.chain, certificate.key)
    if mutual:
        load_roots(context, ROOTS.roots)
        context.verify_mode = ssl.CERT_REQUIRED
    if lowest:
        context.minimum_version = lowest
    context.sni_callback = lambda _, name, __: seen.names.append(name)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tls = writer.get_extra_info("ssl_object")
        seen.clients.append((tls.getpeercert() or {}).get("subjectAltName"))
        seen.resumed.append(tls.session_reused)
        number = len(seen.clients)
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                host = head.lower().partition(b"host: ")[2].partition(b"\r\n")[0].decode()
                seen.hosts.append(f"{host} {number}")
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello")
        except (asyncio.IncompleteReadError, OSError):
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    seen.port = server.sockets[0].getsockname()[1]
    try:
        yield seen
    finally:
        server.close()


@asynccontextmanager
async def egress(port: int, sockets: SocketsPlan, *secrets: SecretPlan) -> AsyncIterator[Proxy]:
    listener = ListenerPlan("out", "127.0.0.1", 1, "outbound", http("api"))
    async with proxy(listener, static("api", port, sockets), *(secrets or (ROOTS,))) as running:
        yield running


def request(host: str) -> bytes:
    return b"GET / HTTP/1.1\r\nHost: %s\r\n\r\n" % host.encode()


def to(name: str, **checks: Any) -> SocketsPlan:
    """A DestinationRule with `sni`."""
    return SocketsPlan((), ClientTlsPlan(replace(CHECKED, **checks), name))


async def test_the_rules_name_is_asked_for() -> None:
    async with serving(ROOT.server("api.example")) as server, egress(server.port, to("api.example")) as running:
        assert await get(running.port, request("anything")) == (200, b"hello")
        assert server.names == ["api.example"]
        assert server.clients == [None]
        assert running.count("ssl.handshake", "cluster") == 1


async def test_without_a_name_the_requests_host_is_asked_for_and_must_be_proved() -> None:
    async with serving(ROOT.server("a.example", "*.b.example")) as server, egress(server.port, BY_HOST) as running:
        assert (await get(running.port, request("a.example")))[0] == 200
        assert (await get(running.port, request("x.B.example:8080")))[0] == 200
        assert (await get(running.port, request("a.example")))[0] == 200
        assert (await get(running.port, request("c.example")))[0] == 503
        assert (await get(running.port, request("x.y.b.example")))[0] == 503
        assert server.names == ["a.example", "x.b.example", "c.example", "x.y.b.example"]
        assert server.hosts == ["a.example 1", "x.b.example:8080 2", "a.example 1"]
        assert running.count("ssl.fail_verify_san", "cluster") == 2


async def test_an_address_is_no_name_but_must_be_proved() -> None:
    async with serving(ROOT.server("127.0.0.1", "::1")) as server, egress(server.port, BY_HOST) as running:
        assert (await get(running.port, request("127.0.0.1:443")))[0] == 200
        assert (await get(running.port, request("[::1]:443")))[0] == 200
        assert (await get(running.port, request("127.0.0.2")))[0] == 503
        assert server.names == [None, None, None]


@pytest.mark.parametrize("host", ["", ":80", "[]", "[]a.example", ".example", "a" * 64 + ".example", "a..example"])
async def test_what_is_no_name_is_proved_by_nobody(host: str) -> None:
    async with serving(ROOT.server("a.example", "*.example")) as server, egress(server.port, BY_HOST) as running:
        assert (await get(running.port, request(host)))[0] in (400, 503)
        assert server.hosts == []
        assert (await get(running.port, request("a.example")))[0] == 200


def test_what_one_cluster_does_not_check_another_one_does() -> None:
    contexts = TlsContexts()
    contexts.follow({ROOTS.name: ROOTS})
    plan = ClientTlsPlan(CHECKED)
    trusting = replace(BY_HOST, host_is_peer_name=False)
    shown = [("DNS", "b.example")]
    assert contexts.security_of_host(plan, trusting, "a.example").judge(shown, b"") == ""
    assert contexts.security_of_host(plan, BY_HOST, "a.example").judge(shown, b"") == WRONG_NAMES


async def test_no_request_goes_in_plain_text_any_more_when_a_rule_begins_tls() -> None:
    async with application() as (port, heads):
        plain = replace(static("api", port), discovery="dns")
        async with proxy(ListenerPlan("out", "127.0.0.1", 1, "outbound", http("api")), plain, ROOTS) as running:
            async with asyncio.timeout(20):
                while (await get(running.port, request("api")))[0] != 200:  # noqa: ASYNC110 - the address is looked up
                    await asyncio.sleep(0.01)
            await running.apply(replace(plain, sockets=to("api.example")))
            assert (await get(running.port, request("api")))[0] == 503
        assert len(heads) == 1


async def test_connections_of_each_host_rest_and_are_closed_with_their_endpoint() -> None:
    async with serving(ROOT.server("*.example")) as server, egress(server.port, BY_HOST) as running:
        for host in ("a.example", "b.example"):
            assert (await get(running.port, request(host)))[0] == 200
        (endpoint,) = running.runtime.clusters["api"].state.endpoints.values()
        assert endpoint.active_connections == 2
        running.runtime.clusters["api"].close_idle()
        async with asyncio.timeout(20):
            while endpoint.active_connections:  # noqa: ASYNC110 - what is waited for has no event
                await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("certificate", "sockets", "counter", "reason"),
    [
        (STRANGER.server("api.example"), to("api.example"), "fail_verify_error", "unable to get local issuer"),
        (
            ROOT.server("api.example"),
            to("api.example", names=(NameMatch("DNS", StringMatch("exact", "other.example")),)),
            "fail_verify_san",
            "not who is expected here",
        ),
        (ROOT.server("api.example"), to("api.example", digests=("00" * 32,)), "fail_verify_cert_hash", "not who"),
        (ROOT.server("api.example"), to("api.example", highest="1.2"), "", "has gone during the handshake"),
        (ROOT.server("api.example"), to("api.example", roots="kubernetes://none"), "", "no secret"),
    ],
)
async def test_who_is_not_believed_gets_no_request(
    certificate: SecretPlan, sockets: SocketsPlan, counter: str, reason: str
) -> None:
    modern = ssl.TLSVersion.TLSv1_3 if "gone" in reason else None
    async with serving(certificate, lowest=modern) as server, egress(server.port, sockets) as running:
        status, head = await get(running.port, request("api.example"))
        assert status == 503
        assert reason.encode() in head
        assert server.hosts == []
        counters = ("connection_error", "fail_verify_error", "fail_verify_san", "fail_verify_cert_hash", "handshake")
        for each in counters:
            assert running.count(f"ssl.{each}", "cluster") == int(each == counter), each


async def test_nobody_is_checked_where_that_is_wished() -> None:
    anybody = SocketsPlan((), ClientTlsPlan(TlsPlan(), "api.example"))
    async with serving(STRANGER.server("else.example")) as server, egress(server.port, anybody) as running:
        assert (await get(running.port, request("api.example")))[0] == 200
        assert server.names == ["api.example"]


async def test_a_pinned_certificate_needs_no_authority() -> None:
    certificate = STRANGER.server("else.example")
    pin = sha256(ssl.PEM_cert_to_DER_cert(certificate.chain)).hexdigest()
    for digest, status in ((pin, 200), ("00" * 32, 503)):
        pinned = SocketsPlan((), ClientTlsPlan(TlsPlan(digests=(digest,)), "api.example"))
        async with serving(certificate) as server, egress(server.port, pinned) as running:
            assert (await get(running.port, request("api.example")))[0] == status


async def test_mutual_shows_a_certificate() -> None:
    async with (
        serving(ROOT.server("api.example"), mutual=True) as server,
        egress(server.port, to("api.example", certificate=CLIENT.name), ROOTS, CLIENT) as running,
    ):
        assert (await get(running.port, request("api.example")))[0] == 200
        assert server.clients == [(("URI", "spiffe://cluster.local/ns/default/sa/egress"),)]


async def test_a_server_that_wants_a_certificate_gets_no_request_without_one() -> None:
    async with (
        serving(ROOT.server("api.example"), mutual=True) as server,
        egress(server.port, to("api.example")) as running,
    ):
        assert (await get(running.port, request("api.example")))[0] == 503
        assert server.hosts == []


@pytest.mark.parametrize("sockets", [to("api.example"), BY_HOST], ids=["sni", "by host"])
async def test_the_next_connection_resumes(sockets: SocketsPlan) -> None:
    async with serving(ROOT.server("api.example")) as server, egress(server.port, sockets) as running:
        for _ in range(3):
            assert (await get(running.port, request("api.example")))[0] == 200
            running.runtime.clusters["api"].close_idle()
        assert server.resumed == [False, True, True]
        assert running.count("ssl.session_reused", "cluster") == 2
