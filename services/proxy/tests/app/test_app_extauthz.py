"""The agent asks authorizers over real gRPC and HTTP: what they are told, what answers mean, what silence does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import grpc
import pytest
from authorizers import Asker, Check, serve
from envoy.config.core.v3 import base_pb2
from envoy.service.auth.v3 import external_auth_pb2
from tls_proxies import GET, application, ask, get, http, proxy, static, tcp

from mizzen.proxy.app.delivery import Deliverer
from mizzen.proxy.app.extauthz.desk import InquiryDesk
from mizzen.proxy.app.sockets import ListeningSockets
from mizzen.proxy.app.workers import Workers
from mizzen.proxy.engine.control import InquiredRequest, Inquiry, InquiryAnswer
from mizzen.proxy.engine.ext_authz_plan import BodyPlan, ExtAuthzPlan, GrpcCall, HttpCall
from mizzen.proxy.engine.match_plan import StringMatch
from mizzen.proxy.engine.plan import HttpPlan, ListenerPlan
from mizzen.proxy.engine.rbac_plan import AllOf, Anything, PolicyPlan, RbacPlan
from mizzen.proxy.snapshot.ads_session import Delivery
from mizzen.proxy.snapshot.store import Held
from mizzen.runtime.address import unused_port

REQUEST = InquiredRequest(
    b"GET",
    b"/admin?a=b",
    b"shop",
    b"http",
    "HTTP/1.1",
    b"\r\n".join(
        (b"Host: shop", b"Cookie: a=b", b"X-User: \xc3\xa4", b"X-User: j", b"Authorization: Basic eA==", b"x-b: \xff")
    ),
)
INQUIRY = Inquiry(
    7,
    ExtAuthzPlan(GrpcCall("authz", 5.0)),
    1.5,
    "10.0.0.7:4711",
    "10.0.0.1:80",
    "spiffe://cluster.local/ns/a/sa/b",
    "spiffe://cluster.local/ns/a/sa/c",
    "sni",
    REQUEST,
)


@asynccontextmanager
async def desk(port: int) -> AsyncIterator[InquiryDesk]:
    async with Asker(port).desk() as made:
        yield made


@asynccontextmanager
async def authorizer(check: Check) -> AsyncIterator[InquiryDesk]:
    """A gRPC server, and who asks it."""
    async with serve(check) as port, desk(port) as made:
        yield made


def says(response: Any, heard: list[Any] | None = None) -> Check:
    async def check(request: Any, context: Any) -> Any:
        if heard is not None:
            heard.append(request)
        return response

    return check


def option(name: str, value: str, *, append: bool | None = None) -> Any:
    made = base_pb2.HeaderValueOption(header=base_pb2.HeaderValue(key=name, value=value))
    if append is not None:
        made.append.value = append
    return made


async def test_what_a_grpc_authorizer_is_told() -> None:
    heard: list[Any] = []
    async with authorizer(says(external_auth_pb2.CheckResponse(), heard)) as asking:
        assert (await asking.ask(INQUIRY)).allowed
    attributes = heard[0].attributes
    assert attributes.source.principal == "spiffe://cluster.local/ns/a/sa/b"
    assert attributes.source.address.socket_address.address == "10.0.0.7"
    assert attributes.destination.address.socket_address.port_value == 80
    assert attributes.tls_session.sni == "sni"
    made = attributes.request.http
    assert (made.method, made.path, made.host, made.scheme) == ("GET", "/admin?a=b", "shop", "http")
    # Repeated headers are told together, and what is no UTF-8 is replaced (ISTIO-SECURITY-2021-008).
    assert made.headers["x-user"] == "ä,j"
    assert made.headers["x-b"] == "\N{REPLACEMENT CHARACTER}"
    assert made.headers[":authority"] == "shop"


async def test_istio_security_2021_008_all_values_of_a_header_are_asked_about() -> None:
    """CVE-2021-32777: the authorizer saw the last one alone."""
    heard: list[Any] = []
    request = replace(REQUEST, head=b"x-role: admin\r\nx-role: user")
    async with authorizer(says(external_auth_pb2.CheckResponse(), heard)) as asking:
        await asking.ask(replace(INQUIRY, request=request))
    assert heard[0].attributes.request.http.headers["x-role"] == "admin,user"


async def test_istio_security_2023_001_a_value_that_is_no_utf_8_is_asked_about() -> None:
    """CVE-2023-27488: the question could not be written, and who failed open let everybody in."""
    response = external_auth_pb2.CheckResponse()
    response.status.code = 7
    plan = replace(INQUIRY.plan, fail_open=True)
    async with authorizer(says(response)) as asking:
        answer = await asking.ask(replace(INQUIRY, plan=plan, request=replace(REQUEST, head=b"x-b: \xff\xfe")))
    assert (answer.failure, answer.status) == ("", 403)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (b"X-Request-Id: \xff", ("\N{REPLACEMENT CHARACTER}", -1)),
        (b"Content-Length: 18446744073709551615", ("", 2**63 - 1)),
    ],
)
async def test_no_client_can_say_what_cannot_be_asked_about(line: bytes, told: tuple[str, int]) -> None:
    heard: list[Any] = []
    request = replace(REQUEST, head=b"\r\n".join((REQUEST.head, line)))
    async with authorizer(says(external_auth_pb2.CheckResponse(), heard)) as asking:
        assert (await asking.ask(replace(INQUIRY, request=request))).allowed
    made = heard[0].attributes.request.http
    assert (made.id, made.size) == told


async def test_a_fault_of_the_proxy_is_no_authorizer_that_is_away() -> None:
    nonsense = replace(INQUIRY, source="10.0.0.7:none")
    async with authorizer(says(external_auth_pb2.CheckResponse())) as asking:
        answer = await asking.ask(nonsense)
    assert (answer.allowed, answer.failure, answer.status) == (False, "", 500)


async def test_only_headers_that_are_allowed_are_told() -> None:
    heard: list[Any] = []
    plan = replace(INQUIRY.plan, allowed_headers=(StringMatch("exact", "COOKIE", ignore_case=True),))
    async with authorizer(says(external_auth_pb2.CheckResponse(), heard)) as asking:
        await asking.ask(replace(INQUIRY, plan=plan))
    assert dict(heard[0].attributes.request.http.headers) == {"cookie": "a=b"}


async def test_a_grpc_authorizer_changes_headers() -> None:
    response = external_auth_pb2.CheckResponse()
    response.ok_response.headers.append(option("x-a", "1"))
    response.ok_response.headers.append(option("x-b", "2", append=True))
    response.ok_response.headers_to_remove.append("cookie")
    response.ok_response.response_headers_to_add.append(option("x-c", "3"))
    async with authorizer(says(response)) as asking:
        answer = await asking.ask(INQUIRY)
    assert answer == InquiryAnswer(
        7,
        allowed=True,
        request_changes=(("remove", "cookie", ""), ("replace", "x-a", "1"), ("append", "x-b", "2")),
        response_changes=(("append", "x-c", "3"),),
    )


async def test_a_grpc_authorizer_denies() -> None:
    response = external_auth_pb2.CheckResponse()
    response.status.code = 7
    async with authorizer(says(response)) as asking:
        assert (await asking.ask(INQUIRY)).status == 403
    response.denied_response.status.code = 401  # type: ignore[assignment]
    response.denied_response.body = "no"
    response.denied_response.headers.append(option("location", "/login"))
    async with authorizer(says(response)) as asking:
        answer = await asking.ask(INQUIRY)
    assert (answer.allowed, answer.failure, answer.status, answer.body) == (False, "", 401, b"no")
    assert answer.response_changes == (("replace", "location", "/login"),)


async def test_a_grpc_error_is_no_verdict() -> None:
    async def check(request: Any, context: Any) -> Any:
        await context.abort(grpc.StatusCode.INTERNAL, "out of order")

    async with authorizer(check) as asking:
        assert (await asking.ask(INQUIRY)).failure == "INTERNAL: out of order"


@pytest.mark.parametrize("call", [GrpcCall("authz", 5.0), HttpCall("authz", 5.0)])
async def test_nobody_there_is_no_verdict(call: Any) -> None:
    async with desk(unused_port()) as asking:
        answer = await asking.ask(replace(INQUIRY, plan=ExtAuthzPlan(call)))
    assert not answer.allowed
    assert "onnect" in answer.failure


async def test_an_authorizer_that_is_silent_is_not_waited_for() -> None:
    async def silent(request: Any, context: Any) -> Any:
        await asyncio.sleep(60)

    async with authorizer(silent) as asking:
        answer = await asking.ask(replace(INQUIRY, plan=ExtAuthzPlan(GrpcCall("authz", 0.05))))
    assert answer.failure == "no answer within 0.05 s"


@asynccontextmanager
async def http_authorizer(answer: bytes) -> AsyncIterator[tuple[InquiryDesk, list[bytes]]]:
    """An HTTP server that says the same to everybody, who asks it, and what it was asked."""
    heard: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        heard.append(head + await reader.readexactly(length))
        writer.write(answer)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        async with desk(server.sockets[0].getsockname()[1]) as asking:
            yield asking, heard
    finally:
        server.close()
        await server.wait_closed()


def over_http(**fields: Any) -> Inquiry:
    shown = (StringMatch("prefix", "x-us", ignore_case=True),)
    plan = ExtAuthzPlan(HttpCall("authz", 5.0, **fields), allowed_headers=shown)
    return replace(INQUIRY, plan=plan)


async def test_what_an_http_authorizer_is_told() -> None:
    inquiry = over_http(path_prefix="/check", headers=(("x-mesh", "mine"),))
    inquiry = replace(inquiry, plan=replace(inquiry.plan, body=BodyPlan(10)))
    inquiry = replace(inquiry, request=replace(REQUEST, body=b"0123456789", is_partial=True))
    async with http_authorizer(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n") as (asking, heard):
        assert (await asking.ask(inquiry)).allowed
    lines = heard[0].split(b"\r\n")
    assert lines[0] == b"GET /check/admin?a=b HTTP/1.1"
    assert {b"host: shop", b"x-user: \xc3\xa4", b"x-user: j", b"authorization: Basic eA==", b"x-mesh: mine"} < {*lines}
    assert b"x-envoy-auth-partial-body: true" in lines
    assert lines[-1] == b"0123456789"
    assert not any(line.lower().startswith(b"cookie") for line in lines)


ALLOWED = b"HTTP/1.1 200 OK\r\nX-User: j\r\nX-Other: k\r\nX-Seen: 1\r\ncontent-length: 0\r\n\r\n"


async def test_headers_of_a_yes_go_where_the_configuration_says() -> None:
    inquiry = over_http(
        to_upstream=(StringMatch("exact", "x-user", ignore_case=True),),
        to_client_on_success=(StringMatch("exact", "x-seen", ignore_case=True),),
    )
    async with http_authorizer(ALLOWED) as (asking, _):
        answer = await asking.ask(inquiry)
    assert answer.request_changes == (("replace", "x-user", "j"),)
    assert answer.response_changes == (("append", "x-seen", "1"),)


DENIED = (
    b"HTTP/1.1 302 Found\r\nLocation: /login\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nX-Own: 1\r\n"
    b"Content-Length: 2\r\n\r\nno"
)


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [
        (None, {"location", "set-cookie", "x-own"}),
        ((StringMatch("exact", "set-cookie", ignore_case=True),), {"location", "set-cookie"}),
    ],
)
async def test_headers_of_a_no_go_to_the_client(patterns: Any, expected: set[str]) -> None:
    async with http_authorizer(DENIED) as (asking, _):
        answer = await asking.ask(over_http(to_client=patterns))
    assert (answer.allowed, answer.status, answer.body) == (False, 302, b"no")
    assert {name for _, name, _ in answer.response_changes} == expected
    assert [value for _, name, value in answer.response_changes if name == "set-cookie"] == ["a=1", "b=2"]


@pytest.mark.parametrize(("status", "allowed"), [(b"200 OK", True), (b"401 Unauthorized", False)])
async def test_the_answer_to_head_has_no_body(status: bytes, allowed: bool) -> None:
    inquiry = replace(over_http(), request=replace(REQUEST, method=b"HEAD"))
    async with http_authorizer(b"HTTP/1.1 %s\r\ncontent-length: 5\r\n\r\n" % status) as (asking, _):
        answer = await asking.ask(inquiry)
    assert (answer.allowed, answer.failure) == (allowed, "")


async def test_a_server_error_is_no_verdict() -> None:
    async with http_authorizer(b"HTTP/1.1 503 Unavailable\r\ncontent-length: 0\r\n\r\n") as (asking, _):
        assert (await asking.ask(over_http())).failure == "it answered 503"


async def test_a_proxy_asks_before_it_lets_a_request_in() -> None:
    async def check(request: Any, context: Any) -> Any:
        response = external_auth_pb2.CheckResponse()
        response.status.code = 0 if request.attributes.request.http.headers.get("x-may") else 7
        return response

    asks = ExtAuthzPlan(GrpcCall("authz", 5.0))
    async with application() as (port, _), authorizer(check) as asking:
        listener = ListenerPlan("l", "127.0.0.1", 1, "inbound", replace(http("app"), guards=(asks,)))
        async with proxy(listener, static("app", port)) as made:
            connect(made.runtime, asking)
            assert (await get(made.port))[0] == 403
            assert await get(made.port, GET.replace(b"\r\n\r\n", b"\r\nx-may: yes\r\n\r\n")) == (200, b"hello")
            assert made.count("ext_authz.ok", "http") == made.count("ext_authz.denied", "http") == 1


async def test_a_worker_process_asks_through_its_agent(app: SimpleNamespace) -> None:
    async def check(request: Any, context: Any) -> Any:
        response = external_auth_pb2.CheckResponse()
        response.status.code = 0 if request.attributes.request.http.path == "/open" else 7
        return response

    port = app.unused_port()
    guarded = HttpPlan("web", "table", guards=(ExtAuthzPlan(GrpcCall("authz", 5.0)),))
    plans = (app.table(200), ListenerPlan("web", "127.0.0.1", port, "inbound", guarded))
    workers, sockets = Workers(1, "WARNING"), ListeningSockets()
    async with authorizer(check) as asking:
        workers.connect(lambda message, reply: None, asking.heard)
        await workers.start()
        try:
            deliverer = Deliverer(workers, sockets, lambda: 0.0)
            held = tuple(Held(plan.name, "1", b"", plan, ()) for plan in plans)
            assert await deliverer.deliver(Delivery(held, ())) == ()
            assert (await app.fetch("127.0.0.1", port, "/open")).status == 200
            assert (await app.fetch("127.0.0.1", port, "/closed")).status == 403
            counters = (await workers.stats()).counters
        finally:
            await workers.stop(1.0)
            sockets.close()
    assert (counters["http", "web", "ext_authz.ok"], counters["http", "web", "ext_authz.denied"]) == (1, 1)


def connect(runtime: Any, asking: InquiryDesk) -> None:
    """The worker's questions go to the desk in this process."""

    async def reply(answer: InquiryAnswer) -> None:
        runtime.inquiries.answer(answer)

    runtime.inquiries.post = lambda inquiry: asking.heard(inquiry, reply)


async def test_a_live_connection_ends_when_a_new_policy_denies_it() -> None:
    deny = RbacPlan("DENY", (PolicyPlan("ns[a]-policy[b]-rule[0]", AllOf((Anything(), Anything()))),))
    async with application() as (port, _):
        listener = ListenerPlan("l", "127.0.0.1", 1, "inbound", tcp("app"))
        async with proxy(listener, static("app", port)) as made:
            reader, writer = await asyncio.open_connection("127.0.0.1", made.port)
            assert await ask(reader, writer) == (200, b"hello")
            await made.apply(replace(listener, handler=replace(tcp("app"), guards=(deny,))))
            async with asyncio.timeout(20):
                with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                    await reader.readexactly(1)
            assert made.count("rbac.policy.ns[a]-policy[b]-rule[0].denied", "tcp") == 1
            writer.close()
