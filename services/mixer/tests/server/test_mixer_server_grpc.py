"""A real gRPC client over loopback."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import pytest
from envoy.service.accesslog.v3 import als_pb2
from envoy.service.auth.v3 import external_auth_pb2

from mizzen.attributes.batch import ReportEncoder
from mizzen.attributes.compressed import encode
from mizzen.mixer.server.calls import Calls
from mizzen.mixer.server.server import MixerServer
from mizzen.mixer.status import Code, Status
from mizzen.mixer.verdict import PolicyError, Verdict
from mizzen.proto.mixer_pb2 import CheckRequest, CheckResponse, ReportResponse
from mizzen.runtime.errors import StartError

Serve = Callable[..., Awaitable[grpc.aio.Channel]]
SECONDS = 10


def _written(request: Any) -> bytes:
    return request if isinstance(request, bytes) else request.SerializeToString()


def unary(channel: grpc.aio.Channel, method: str, response: Any) -> Callable[..., Any]:
    return channel.unary_unary(method, _written, response.FromString)


async def failure(call: Any) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await call
    return error.value.code(), error.value.details() or ""


async def test_check_and_report_under_istios_names(serve: Serve, policy: Any) -> None:
    channel = await serve()
    policy.verdict = Verdict(Status(Code.NOT_FOUND, "not whitelisted"))
    request = CheckRequest(attributes=encode({"request.path": "/a"}, 203), global_word_count=203)
    check = unary(channel, "/istio.mixer.v1.Mixer/Check", CheckResponse)
    assert (await check(request, timeout=SECONDS)).precondition.status.code == 5
    encoder = ReportEncoder()
    encoder.add({"request.path": "/b"})
    await unary(channel, "/istio.mixer.v1.Mixer/Report", ReportResponse)(encoder.finish(), timeout=SECONDS)
    assert policy.checked[0][0].values == {"request.path": "/a"}
    assert policy.reports[0][0].values == {"request.path": "/b"}


async def test_failures_have_istios_codes(serve: Serve, policy: Any) -> None:
    channel = await serve()
    check = unary(channel, "/istio.mixer.v1.Mixer/Check", CheckResponse)
    report = unary(channel, "/istio.mixer.v1.Mixer/Report", ReportResponse)
    encoder = ReportEncoder()
    encoder.add({})
    policy.error = PolicyError("performing check operation failed: no")
    internal = (grpc.StatusCode.INTERNAL, "performing check operation failed: no")
    assert await failure(check(CheckRequest(), timeout=SECONDS)) == internal
    unknown = (grpc.StatusCode.UNKNOWN, "performing check operation failed: no")
    assert await failure(report(encoder.finish(), timeout=SECONDS)) == unknown
    policy.error = RuntimeError("secret")
    code, details = await failure(check(CheckRequest(), timeout=SECONDS))
    assert code is grpc.StatusCode.INTERNAL
    assert "secret" not in details


async def test_too_many_calls_at_once_are_refused(serve: Serve, policy: Any, make_calls: Callable[..., Calls]) -> None:
    channel = await serve(make_calls(most_running=1))
    check = unary(channel, "/istio.mixer.v1.Mixer/Check", CheckResponse)
    policy.gate = asyncio.Event()
    waiting = asyncio.ensure_future(check(CheckRequest(), timeout=SECONDS))
    await asyncio.wait_for(policy.arrived.wait(), SECONDS)
    expected = (grpc.StatusCode.UNAVAILABLE, "Server is currently overloaded. Please try again.")
    assert await failure(check(CheckRequest(), timeout=SECONDS)) == expected
    policy.gate.set()
    assert (await waiting).precondition.status.code == 0


async def test_a_message_beyond_the_limit_is_refused(serve: Serve, policy: Any) -> None:
    channel = await serve(max_message_bytes=1000)
    check = unary(channel, "/istio.mixer.v1.Mixer/Check", CheckResponse)
    request = CheckRequest(attributes=encode({"request.path": "a" * 2000}))
    code, _ = await failure(check(request, timeout=SECONDS))
    assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert not policy.checked
    assert (await check(CheckRequest(), timeout=SECONDS)).precondition.status.code == 0


async def test_a_header_that_is_not_utf8_is_no_obstacle(serve: Serve, policy: Any) -> None:
    channel = await serve()
    request = CheckRequest()
    request.attributes.words.append(b"caf\xe9")
    request.attributes.strings[17] = -1
    check = unary(channel, "/istio.mixer.v1.Mixer/Check", CheckResponse)
    await check(request, timeout=SECONDS)
    assert policy.checked[0][0].values == {"request.path": "caf\\xe9"}


async def test_envoys_authorization_under_its_name(serve: Serve, policy: Any) -> None:
    channel = await serve()
    check = unary(channel, "/envoy.service.auth.v3.Authorization/Check", external_auth_pb2.CheckResponse)
    policy.verdict = Verdict(Status(Code.PERMISSION_DENIED, "no"))
    response = await check(external_auth_pb2.CheckRequest(), timeout=SECONDS)
    assert response.denied_response.body == "PERMISSION_DENIED:no"
    policy.error = PolicyError("broken")
    assert await failure(check(external_auth_pb2.CheckRequest(), timeout=SECONDS)) == (
        grpc.StatusCode.INTERNAL,
        "broken",
    )


def log_message(path: str) -> als_pb2.StreamAccessLogsMessage:
    message = als_pb2.StreamAccessLogsMessage()
    message.http_logs.log_entry.add().request.path = path
    return message


def open_stream(channel: grpc.aio.Channel) -> Any:
    return channel.stream_unary(
        "/envoy.service.accesslog.v3.AccessLogService/StreamAccessLogs",
        als_pb2.StreamAccessLogsMessage.SerializeToString,
        als_pb2.StreamAccessLogsResponse.FromString,
    )(timeout=SECONDS)


async def test_envoys_logs_are_reported_as_they_come(serve: Serve, policy: Any) -> None:
    stream = open_stream(await serve())
    await stream.write(log_message("/a"))
    await asyncio.wait_for(policy.arrived.wait(), SECONDS)
    policy.error = RuntimeError("one that fails does not end the stream")
    await stream.write(log_message("/b"))
    await stream.write(log_message("/c"))
    await stream.done_writing()
    await stream
    assert [bags[0].get("request.path") for bags in policy.reports] == ["/a", "/b", "/c"]


async def test_open_log_streams_do_not_hold_up_the_end(serve: Serve, policy: Any) -> None:
    channel = await serve()
    stream = open_stream(channel)
    await stream.write(log_message("/a"))
    await asyncio.wait_for(policy.arrived.wait(), SECONDS)
    async with asyncio.timeout(3):  # a moment is given to calls that run; here is none
        await channel.server.close()
    assert await stream == als_pb2.StreamAccessLogsResponse()


async def test_calls_under_way_are_answered_at_the_end(serve: Serve, policy: Any) -> None:
    channel = await serve()
    policy.gate = asyncio.Event()
    check = unary(channel, "/istio.mixer.v1.Mixer/Check", CheckResponse)
    waiting = asyncio.ensure_future(check(CheckRequest(), timeout=SECONDS))
    await asyncio.wait_for(policy.arrived.wait(), SECONDS)
    closing = asyncio.ensure_future(channel.server.close())
    await asyncio.sleep(0)
    policy.gate.set()
    assert (await waiting).precondition.status.code == 0
    await closing


async def test_a_taken_port_is_named(serve: Serve, policy: Any, make_calls: Callable[..., Calls]) -> None:
    calls = make_calls()
    address = (await serve(calls)).server.address
    second = MixerServer(policy, calls)
    with pytest.raises(StartError, match=f"{address} is taken by another process"):
        await second.start(address)
    await second.close()
