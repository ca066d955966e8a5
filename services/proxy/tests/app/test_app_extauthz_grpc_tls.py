"""Authorizers of the mesh, asked over gRPC: by one that takes nothing but mutual TLS and knows who asks."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import grpc
import pytest
from authorizers import Asker, asked_as, serve
from envoy.service.auth.v3 import external_auth_pb2
from tls_authority import TestAuthority
from tls_proxies import Proxy, application, get, proxy, static, tcp

from mizzen.proxy.app.extauthz.desk import InquiryDesk
from mizzen.proxy.app.extauthz.links import MAX_LINKS, Links, Way
from mizzen.proxy.app.pod.http_client import Peer, connect
from mizzen.proxy.app.pod.relay import Relay, _close
from mizzen.proxy.engine.control import InquiredRequest, Inquiry, InquiryAnswer
from mizzen.proxy.engine.ext_authz_plan import ExtAuthzPlan, GrpcCall
from mizzen.proxy.engine.plan import ListenerPlan
from mizzen.proxy.engine.tls_plan import PLAINTEXT
from mizzen.runtime.address import Address, unused_port

ROOT = TestAuthority()
OURS = (ROOT.secret("gateway"), ROOT.roots())
AUTHZ = asked_as("authz", "istio-peer-exchange", "istio", "h2")
REQUEST = InquiredRequest(b"GET", b"/", b"shop", b"http", "HTTP/1.1", b"Host: shop")
INQUIRY = Inquiry(1, ExtAuthzPlan(GrpcCall("authz", 5.0)), 0.0, "10.0.0.7:1", "10.0.0.1:80", "", "", "", REQUEST)


@dataclass
class Callers:
    """Who asked: the names in their certificates, and by which connections."""

    names: list[bytes] = field(default_factory=list)
    connections: set[str] = field(default_factory=set)

    async def check(self, request: Any, context: Any) -> Any:
        self.names += context.auth_context().get("x509_subject_alternative_name", ())
        self.connections.add(context.peer())
        return external_auth_pb2.CheckResponse()


@asynccontextmanager
async def authorizer(account: str = "authz") -> AsyncIterator[tuple[Asker, Callers]]:
    """It says yes to everybody who has a certificate of the mesh; its protocol (ALPN) must be h2."""
    own, callers = ROOT.secret(account), Callers()
    pair = [(own.key.encode(), own.chain.encode())]
    credentials = grpc.ssl_server_credentials(pair, ROOT.roots().roots.encode(), require_client_auth=True)
    async with serve(callers.check, credentials) as port:
        yield Asker(port, AUTHZ), callers


async def test_an_authorizer_that_takes_mutual_tls_alone_is_asked() -> None:
    async with authorizer() as (asker, callers):
        asker.learn(*OURS)
        answer = await asker.ask(INQUIRY)
        assert (answer.allowed, answer.failure) == (True, "")
        assert callers.names == [b"spiffe://cluster.local/ns/default/sa/gateway"]


async def test_it_gets_no_question_in_plain_text() -> None:
    async with authorizer() as (asker, callers):
        asker.sockets = PLAINTEXT
        assert (await asker.ask(INQUIRY)).failure.startswith("UNAVAILABLE: ")
        assert not callers.connections


async def test_whoever_is_not_the_authorizer_is_neither_asked_nor_believed() -> None:
    async with authorizer("another") as (asker, callers):
        asker.learn(*OURS)
        answer = await asker.ask(INQUIRY)
        assert not answer.allowed
        assert "spiffe://cluster.local/ns/default/sa/another, which is not who is expected" in answer.failure
        assert not callers.connections


async def test_without_a_certificate_there_is_no_verdict_until_there_is_one() -> None:
    async with authorizer() as (asker, _), asker.desk() as desk:
        assert (await desk.ask(INQUIRY)).failure == "this proxy has no secret 'default' yet"
        asker.learn(*OURS)
        assert (await desk.ask(INQUIRY)).allowed


async def test_a_new_certificate_is_shown_from_then_on() -> None:
    async with authorizer() as (asker, callers), asker.desk() as desk:
        asker.learn(TestAuthority().secret("gateway"), ROOT.roots())
        assert (await desk.ask(INQUIRY)).failure
        for account in ("gateway", "renamed"):
            asker.learn(ROOT.secret(account))
            assert (await desk.ask(INQUIRY)).allowed
        assert callers.names == [b"spiffe://cluster.local/ns/default/sa/" + each for each in (b"gateway", b"renamed")]


async def test_questions_share_a_connection() -> None:
    async with authorizer() as (asker, callers), asker.desk() as desk:
        asker.learn(*OURS)
        for _ in range(2):
            answers = await asyncio.gather(*(desk.ask(replace(INQUIRY, serial=each)) for each in range(20)))
            assert [answer.serial for answer in answers if answer.allowed] == [*range(20)]
        assert len(callers.connections) == 1


@pytest.mark.parametrize("another", [True, False])
async def test_a_connection_ends_when_its_endpoint_goes(another: bool) -> None:
    callers = Callers()
    async with serve(callers.check) as port, serve(callers.check) as other:
        listener = ListenerPlan("l", "127.0.0.1", 1, "inbound", tcp("a"))
        async with proxy(listener, static("a", port)) as between:
            asker = Asker(between.port)
            async with asker.desk() as desk:
                assert (await desk.ask(INQUIRY)).allowed
                assert active(between) == 1
                asker.port = other if another else 0
                assert (await desk.ask(INQUIRY)).allowed is another
                async with asyncio.timeout(20):
                    while active(between):  # noqa: ASYNC110 - the runtime tells nobody
                        await asyncio.sleep(0.01)


async def test_a_question_that_outlives_its_connection_has_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mizzen.proxy.app.extauthz.links.CLOSE_SECONDS", 0.05)
    asked, callers = asyncio.Event(), Callers()
    answers: asyncio.Queue[InquiryAnswer] = asyncio.Queue()

    async def check(request: Any, context: Any) -> Any:
        asked.set()
        await asyncio.sleep(20)

    async with serve(check) as silent, serve(callers.check) as other:
        asker = Asker(silent)
        async with asker.desk() as desk, asyncio.timeout(10):
            desk.heard(replace(INQUIRY, plan=ExtAuthzPlan(GrpcCall("authz", 600.0))), answers.put)
            await asked.wait()
            asker.port = other
            assert (await desk.ask(INQUIRY)).allowed
            assert (await answers.get()).failure == "its connection was ended before it had answered"


def active(between: Proxy) -> int:
    return between.runtime.stats(1).gauges["listener", "l", "downstream_cx_active"]


async def test_an_endpoint_that_comes_back_is_asked_again() -> None:
    port, callers = unused_port(), Callers()
    async with Asker(port).desk() as desk:
        assert "onnect" in (await desk.ask(INQUIRY)).failure
        async with serve(callers.check, port=port):
            await until(desk, lambda answer: answer.allowed)
        await until(desk, lambda answer: not answer.allowed)
        async with serve(callers.check, port=port):
            await until(desk, lambda answer: answer.allowed)


async def until(desk: InquiryDesk, holds: Callable[[InquiryAnswer], bool]) -> None:
    """Ask until the answer is as it should be."""
    async with asyncio.timeout(20):
        while not holds(await desk.ask(INQUIRY)):  # noqa: ASYNC110 - an authorizer tells nobody that it is back
            await asyncio.sleep(0.05)


async def test_an_endpoint_has_as_long_to_be_connected_with_as_its_cluster_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Five seconds."""

    async def hesitate(peer: Peer) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        await asyncio.sleep(0.5)
        return await connect(peer)

    monkeypatch.setattr("mizzen.proxy.app.pod.relay.connect", hesitate)
    async with authorizer() as (asker, _):
        asker.learn(*OURS)
        answer = await asker.ask(INQUIRY)
        assert (answer.allowed, answer.failure) == (True, "")


async def test_a_silent_endpoint_is_not_waited_for() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    asker = Asker(server.sockets[0].getsockname()[1], AUTHZ)
    asker.learn(*OURS)
    inquiry = replace(INQUIRY, plan=ExtAuthzPlan(GrpcCall("authz", 0.1)))
    assert (await asker.ask(inquiry)).failure == "no answer within 0.1 s"
    server.close()


_STRANGER = """
import socket, sys
sock = socket.socket(socket.AF_UNIX)
sock.connect(chr(0) + sys.argv[1])
try:
    print(sock.recv(1))
except ConnectionResetError:
    print(b"")
"""


async def test_no_other_process_is_relayed() -> None:
    async with application() as (port, heads):
        relay = Relay(Peer(Address("127.0.0.1", port)), 5.0)
        await relay.open()
        name = relay.target.removeprefix("unix-abstract:")
        try:
            stranger = await asyncio.create_subprocess_exec(
                sys.executable, "-c", _STRANGER, name, stdout=subprocess.PIPE
            )
            async with asyncio.timeout(20):
                out, _ = await stranger.communicate()
            assert out.strip() == b"b''"
            assert not heads
            reader, writer = await asyncio.open_unix_connection(f"\0{name}")
            writer.write(b"GET / HTTP/1.1\r\n\r\n")
            assert (await reader.readuntil(b"\r\n")) == b"HTTP/1.1 200 OK\r\n"
            writer.close()
        finally:
            await relay.close()


@pytest.mark.parametrize("late", [False, True])
async def test_who_connects_while_a_relay_is_closed_is_let_go(late: bool) -> None:
    """Before anything was done for him, or when the loop had taken him before it was told to take nobody."""
    relay = Relay(Peer(Address("127.0.0.1", unused_port())), 5.0)
    await relay.open()
    ours, theirs = socket.socketpair()
    with theirs:
        reader, writer = await asyncio.open_unix_connection(sock=ours)
        if late:
            await relay.close()
            relay._arrived(reader, writer)
        else:
            relay._arrived(reader, writer)
            await relay.close()
        assert writer.transport.is_closing()
        await asyncio.sleep(0)


async def test_a_relay_that_is_given_up_while_it_opens_leaves_nothing_to_the_loop() -> None:
    relay = Relay(Peer(Address("127.0.0.1", unused_port())), 5.0)
    opening = asyncio.create_task(relay.open())
    await asyncio.sleep(0)
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    async with application() as (port, _), asyncio.timeout(10):  # its socket has the number of the one that was closed
        assert await get(port) == (200, b"hello")


async def test_what_is_no_port_is_said() -> None:
    async with Asker(70_000).desk() as desk:
        assert (await desk.ask(INQUIRY)).failure == "UNAVAILABLE: connect(): port must be 0-65535."


async def test_a_relay_that_is_closed_waits_for_nobody_who_does_not_read() -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        _, writer = await asyncio.open_unix_connection(sock=ours)
        writer.write(bytes(10_000_000))
        closing = asyncio.create_task(_close(writer))
        await asyncio.sleep(0)
        closing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await closing
        assert writer.transport.get_write_buffer_size() == 0


async def test_links_are_bounded() -> None:
    links = Links()
    for each in range(MAX_LINKS + 5):
        address = Address("127.0.0.1", each + 1)
        await links.find(Way("c", "a", address), Peer(address), 1.0)
    assert len(links) == MAX_LINKS
    links.keep("c", (Address("127.0.0.1", MAX_LINKS),))
    assert len(links) == 1
    await links.close()
