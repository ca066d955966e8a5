"""The small HTTP server, over real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace

import pytest

from mizzen.proxy.app import servers
from mizzen.proxy.app.servers import MAX_HEAD, HttpServer, Request, Response
from mizzen.runtime.address import Address
from mizzen.runtime.errors import StartError


async def show(request: Request) -> Response:
    return Response(f"{request.method} {request.path} {dict(request.query)}\n")


async def fail(request: Request) -> Response:
    raise LookupError("secret")


async def hang(request: Request) -> Response:
    return await asyncio.get_running_loop().create_future()  # type: ignore[no-any-return]


@pytest.fixture
async def server() -> AsyncIterator[Address]:
    running = HttpServer({("GET", "/a b"): show, ("POST", "/do"): show, ("GET", "/fail"): fail, ("GET", "/hang"): hang})
    yield await running.start(Address("127.0.0.1", 0))
    await running.close()


async def raw(address: Address, text: bytes) -> bytes:
    async with asyncio.timeout(10):
        reader, writer = await asyncio.open_connection(*address)
        writer.write(text)
        answer = await reader.read()
        writer.close()
    return answer


@pytest.mark.parametrize(
    ("method", "path", "status", "body"),
    [
        ("GET", "/a%20b?x=1&y", 200, "GET /a b {'x': '1', 'y': ''}\n"),
        ("POST", "/do?level=debug", 200, "POST /do {'level': 'debug'}\n"),
        ("GET", "/do", 405, "Method Not Allowed: use POST\n"),
        ("GET", "/nothing", 404, "invalid path. See /help for the paths there are.\n"),
    ],
)
async def test_answers(server: Address, app: SimpleNamespace, method: str, path: str, status: int, body: str) -> None:
    answer = await app.fetch(*server, path, method)
    assert (answer.status, answer.body) == (status, body)
    assert answer.headers["Content-Length"] == str(len(body))


async def test_a_failing_page_tells_the_log_alone(
    server: Address, app: SimpleNamespace, caplog: pytest.LogCaptureFixture
) -> None:
    answer = await app.fetch(*server, "/fail")
    assert answer.status == 500
    assert "secret" not in answer.body
    assert "secret" in caplog.text


@pytest.mark.parametrize(
    ("request_text", "status"),
    [
        (b"GET / HTTP/2\r\n\r\n", 400),
        (b"GET http://x/ HTTP/1.1\r\n\r\n", 400),
        (b"nonsense\r\n\r\n", 400),
        (b"POST /do HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 413),
        (b"POST /do HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n", 413),
        (b"POST /do HTTP/1.1\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n", 413),
        (b"POST /do HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 413),
        (b"POST /do HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc", 200),
        (b"GET /a%20b HTTP/1.1\r\nx: " + b"y" * MAX_HEAD + b"\r\n\r\n", 431),
    ],
)
async def test_odd_requests(server: Address, request_text: bytes, status: int) -> None:
    answer = await raw(server, request_text)
    assert answer.startswith(f"HTTP/1.1 {status} ".encode())


async def test_a_page_that_takes_long_says_so(
    server: Address, app: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(servers, "ANSWER_SECONDS", 0.01)
    answer = await app.fetch(*server, "/hang")
    assert (answer.status, answer.body) == (503, "no answer within 0.01 s; what was asked for may go on\n")


async def test_a_client_that_leaves_early_is_no_error(server: Address, caplog: pytest.LogCaptureFixture) -> None:
    _, writer = await asyncio.open_connection(*server)
    writer.write(b"GET /a%20b")
    writer.close()
    await writer.wait_closed()
    assert (await raw(server, b"GET /a%20b HTTP/1.1\r\n\r\n")).startswith(b"HTTP/1.1 200")
    assert not caplog.records


async def test_a_taken_address_is_named(server: Address) -> None:
    with pytest.raises(StartError, match=f"{server} is taken"):
        await HttpServer({}).start(server)
