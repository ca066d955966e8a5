"""The kubelet's probes, repeated to real applications on allocated ports."""

from __future__ import annotations

import asyncio
import gc
import json
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
from aiohttp import web

from mizzen.proxy.app.pod.grpc_health import METHOD
from mizzen.proxy.app.pod.probers import Action, Grpc, HttpGet, Prober, TcpSocket
from mizzen.proxy.app.pod.probing import MAX_BODY, Probing
from mizzen.proxy.app.servers import Request, Response
from mizzen.runtime.address import unused_port

SOURCE = "127.0.0.6"
CERTIFICATES = Path(__file__).parent / "certificates"

Handle = Callable[[web.Request], Awaitable[web.StreamResponse]]
Serve = Callable[..., Awaitable[int]]


async def show(request: web.Request) -> web.Response:
    """What came."""
    headers = {name.lower(): value for name, value in request.headers.items()}
    return web.json_response({"path": request.path_qs, "from": request.remote, "headers": headers})


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Start an application that handles every path in one way; its port."""
    runners: list[web.AppRunner] = []

    async def start(handle: Handle, tls: bool = False) -> int:
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", handle)
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
        runners.append(runner)
        await runner.setup()
        context = None
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(CERTIFICATES / "app.crt", CERTIFICATES / "app.key")
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
        await site.start()
        return int(runner.addresses[0][1])

    yield start
    for runner in runners:
        await runner.cleanup()


async def probe(action: Action, *headers: tuple[str, str], seconds: float = 20.0) -> Response:
    """As the kubelet asks the agent on port 15020."""
    handler = Probing("127.0.0.1", SOURCE, 15020).handler(Prober(action, seconds))
    stated = headers or (("host", "10.0.0.7:15020"), ("user-agent", "kube-probe/1.33"))
    return await handler(Request("GET", "/app-health/app/livez", {}, stated))


async def seen(port: int, *headers: tuple[str, str], tls: bool = False) -> Any:
    answer = await probe(HttpGet(port, "/ok?a=b", tls), *headers)
    assert answer.status == 200
    return json.loads(answer.text)


@pytest.mark.parametrize("tls", [False, True])
async def test_a_get_goes_as_the_kubelet_sent_it(serve: Serve, tls: bool) -> None:
    port = await serve(show, tls)
    shown = await seen(port, ("host", "10.0.0.7:15020"), ("user-agent", "kube-probe/1.33"), ("x-own", "1"), tls=tls)
    assert shown == {
        "path": "/ok?a=b",
        "from": SOURCE,
        "headers": {
            "host": f"10.0.0.7:{port}",
            "user-agent": "kube-probe/1.33",
            "x-own": "1",
            "connection": "close",
        },
    }


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("10.0.0.7:15020", "10.0.0.7:{port}"),
        ("[fd00::7]:15020", "[fd00::7]:{port}"),
        ("reviews.test", "reviews.test"),
        ("reviews.test:80", "reviews.test:80"),
    ],
)
async def test_the_host_is_the_one_of_the_probe(serve: Serve, host: str, expected: str) -> None:
    port = await serve(show)
    shown = await seen(port, ("host", host))
    assert shown["headers"]["host"] == expected.format(port=port)


@pytest.mark.parametrize("status", [200, 204, 299, 404, 418, 500, 503, 599])
async def test_the_status_is_the_applications(serve: Serve, status: int) -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(status=status)

    assert (await probe(HttpGet(await serve(answer), "/", False))).status == status


async def test_a_long_answer_is_cut(serve: Serve) -> None:
    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b"x" * 4096)

    answer = await probe(HttpGet(await serve(endless), "/", False))
    assert (answer.status, len(answer.text)) == (200, MAX_BODY)


@pytest.mark.parametrize(
    ("location", "status", "asked"),
    [
        ("/next", 200, ["/", "/next"]),
        ("http://127.0.0.1:{port}/next?x", 200, ["/", "/next?x"]),
        ("http://elsewhere.test/next", 200, ["/"]),
        ("/", 500, ["/"] * 10),
    ],
)
async def test_redirects(serve: Serve, location: str, status: int, asked: list[str]) -> None:
    paths: list[str] = []

    async def redirect(request: web.Request) -> web.Response:
        paths.append(request.path_qs)
        target = location.format(port=request.transport.get_extra_info("sockname")[1])  # type: ignore[union-attr]
        return web.Response(status=302, headers={"Location": target}) if request.path == "/" else web.Response()

    assert (await probe(HttpGet(await serve(redirect), "/", False))).status == status
    assert paths == asked


async def test_a_redirect_to_nowhere_is_success(serve: Serve) -> None:
    async def redirect(request: web.Request) -> web.Response:
        return web.Response(status=304)

    assert (await probe(HttpGet(await serve(redirect), "/", False))).status == 200


async def test_a_slow_application_fails_as_the_probe_says(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    async def hang(request: web.Request) -> web.Response:
        return await asyncio.get_running_loop().create_future()  # type: ignore[no-any-return]

    answer = await probe(HttpGet(await serve(hang), "/", False), seconds=0.1)
    assert (answer.status, answer.text) == (500, "no answer within 0.1 s\n")
    assert "/app-health/app/livez" in caplog.text


@pytest.mark.parametrize("action", [HttpGet(1, "/", False), HttpGet(1, "/", True), TcpSocket(1), Grpc(1, "")])
async def test_nobody_listens(action: Action) -> None:
    closed = type(action)(unused_port(), *(getattr(action, name) for name in action.__slots__[1:]))  # type: ignore[call-arg]
    answer = await probe(closed)
    assert answer.status == 500
    assert "refused" in answer.text.lower() or "connect call failed" in answer.text.lower()


@pytest.mark.parametrize(
    "sent", [b"", b"nonsense\r\n\r\n", b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nab", b"HTTP/1.1 200 OK\r\nx: y"]
)
async def test_answers_that_are_no_http(sent: bytes) -> None:
    def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(sent)
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        assert (await probe(HttpGet(port, "/", False))).status == 500


async def test_an_interim_response_is_not_the_answer() -> None:
    def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 503 No\r\n\r\nuntil the end")
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        found = await probe(HttpGet(server.sockets[0].getsockname()[1], "/", False))
    assert (found.status, found.text) == (503, "until the end")


async def test_a_connection_is_enough_for_tcp() -> None:
    peers: list[str] = []

    def accept(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peers.append(writer.get_extra_info("peername")[0])
        writer.close()

    async with await asyncio.start_server(accept, "127.0.0.1", 0) as server:
        assert (await probe(TcpSocket(server.sockets[0].getsockname()[1]))).status == 200
        async with asyncio.timeout(10):
            while not peers:  # noqa: ASYNC110 - the server accepts on its own
                await asyncio.sleep(0.01)
    assert peers == [SOURCE]


class Health:
    """A server with grpc.health.v1.Health, which answers with `status`, or with an error."""

    def __init__(self, status: int | None) -> None:
        self.asked: list[tuple[bytes, str, Any]] = []
        self._status = status
        self.server = grpc.aio.server()
        service, method = METHOD[1:].split("/")
        handler = grpc.unary_unary_rpc_method_handler(self._check)
        self.server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {method: handler}),))
        self.port = self.server.add_insecure_port("127.0.0.1:0")

    async def _check(self, request: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
        self.asked.append((request, context.peer(), dict(context.invocation_metadata() or ())))
        if self._status is None:
            await context.abort(grpc.StatusCode.NOT_FOUND, "unknown service")
        return bytes((0x08, self._status)) if self._status else b""


@pytest.mark.parametrize(
    ("status", "service", "request_bytes", "code", "why"),
    [
        (1, "", b"", 200, ""),
        (1, "shop.Reviews", b"\x0a\x0cshop.Reviews", 200, ""),
        (2, "", b"", 500, "the health service does not say SERVING\n"),
        (0, "", b"", 500, "the health service does not say SERVING\n"),
        (None, "x", b"\x0a\x01x", 500, "gRPC NOT_FOUND: unknown service\n"),
    ],
)
async def test_grpc_health(status: int | None, service: str, request_bytes: bytes, code: int, why: str) -> None:
    health = Health(status)
    await health.server.start()
    try:
        answer = await probe(Grpc(health.port, service))
    finally:
        await health.server.stop(0)
    assert (answer.status, answer.text) == (code, why)
    ((asked, peer, metadata),) = health.asked
    assert asked == request_bytes
    assert peer.startswith(f"ipv4:{SOURCE}:")
    assert metadata["user-agent"].startswith("kube-probe/1.33")


async def test_a_server_without_health_fails() -> None:
    server = grpc.aio.server()
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        answer = await probe(Grpc(port, ""))
    finally:
        await server.stop(0)
    assert (answer.status, answer.text.startswith("gRPC UNIMPLEMENTED")) == (500, True)


async def test_a_health_check_that_is_given_up_leaves_nothing_open() -> None:
    """A full accept queue: the kernel drops what more comes."""
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        port = full.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)):
            answer = await probe(Grpc(port, ""), seconds=0.5)
        assert (answer.status, answer.text) == (500, "no answer within 0.5 s\n")
    gc.collect()  # what was left open says so now, and pytest takes it for a failure
