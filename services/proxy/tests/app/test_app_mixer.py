"""Requests through workers, the agent's Mixer client, and a server of Mixer's protocol."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from ipaddress import ip_address
from types import SimpleNamespace
from typing import Any

import grpc
import pytest
from fake_mixer import FakeMixer, allow

from mizzen.attributes.bag import DictBag
from mizzen.proto.attributes_pb2 import Attributes
from mizzen.proto.mixer_pb2 import CheckResponse
from mizzen.proxy.app.delivery import Deliverer
from mizzen.proxy.app.mixer.addresses import Addresses, Target
from mizzen.proxy.app.mixer.client import MixerCalls
from mizzen.proxy.app.mixer.contract import CallFailed, Question
from mizzen.proxy.app.mixer.hub import MixerHub
from mizzen.proxy.app.sockets import ListeningSockets
from mizzen.proxy.app.workers import Workers
from mizzen.proxy.engine.mixer_plan import (
    MixerPlan,
    QuotaClause,
    QuotaRulePlan,
    ServicePlan,
    TcpMixerPlan,
    TransportPlan,
)
from mizzen.proxy.engine.plan import HttpPlan, ListenerPlan, Plan, TcpPlan, WeightedCluster
from mizzen.proxy.snapshot.ads_session import Delivery
from mizzen.proxy.snapshot.result import Rejected
from mizzen.proxy.snapshot.store import Held, Store

CLOSED = TransportPlan(fail_open=False, batch_seconds=0.05)


def attributes(**values: str) -> bytes:
    message = Attributes()
    for name, value in values.items():
        message.attributes[name.replace("_", ".")].string_value = value
    return message.SerializeToString()


@pytest.fixture
async def mesh(app: SimpleNamespace) -> AsyncIterator[SimpleNamespace]:
    """A worker with one listener, its agent's hub, and a Mixer."""
    mixer = FakeMixer()
    await mixer.start()
    hub = MixerHub(MixerCalls(Addresses(Store(), mixer.address).target))
    workers = Workers(1, "WARNING")
    workers.connect(hub.heard)
    await workers.start()
    sockets = ListeningSockets()
    deliverer = Deliverer(workers, sockets, lambda: 0.0)
    port = app.unused_port()

    async def deliver(*plans: Plan) -> tuple[Rejected, ...]:
        held = tuple(Held(plan.name, "1", b"", plan, ()) for plan in plans)
        return await deliverer.deliver(Delivery(held, ()))

    async def configure(transport: TransportPlan = CLOSED, **service: Any) -> None:
        plan = MixerPlan(transport, attributes=attributes(context_reporter_kind="inbound"))
        table = app.table(200)
        (host,) = table.hosts
        (route,) = host.routes
        checked = replace(route, mixer=ServicePlan(**service))
        table = replace(table, hosts=(replace(host, routes=(checked,)),))
        listener = ListenerPlan(
            "web", "127.0.0.1", port, "inbound", HttpPlan("web", "table", tells_reasons=True, mixer=plan)
        )
        assert await deliver(table, listener) == ()

    here = SimpleNamespace(mixer=mixer, hub=hub, workers=workers, configure=configure, deliver=deliver)
    here.get = lambda path="/": app.fetch("127.0.0.1", port, path)
    here.until = app.until
    yield here
    await workers.stop(1.0)
    sockets.close()
    await hub.close(1.0)
    await here.mixer.close()


async def test_a_check_is_asked_once_and_kept_in_the_worker(mesh: SimpleNamespace) -> None:
    await mesh.configure(attributes=attributes(destination_service="reviews"))
    mesh.mixer.answer = lambda seen, request: allow("destination.service", "request.path")
    assert (await mesh.get("/a")).body == "direct"
    assert (await mesh.get("/a")).status == 200
    assert (await mesh.get("/b")).status == 200
    first, _ = mesh.mixer.checks
    assert first.global_word_count == 203
    assert first.deduplication_id
    counters = (await mesh.workers.stats()).counters
    assert counters["http_mixer_filter", "", "total_check_calls"] == 3
    assert mesh.hub.stats.total_remote_check_calls == 2


async def test_what_a_check_says_of_a_request(mesh: SimpleNamespace) -> None:
    seen: dict[str, Any] = {}

    def answer(found: dict[str, Any], request: Any) -> CheckResponse:
        seen.update(found)
        return allow()

    mesh.mixer.answer = answer
    await mesh.configure(attributes=attributes(destination_service="reviews"))
    await mesh.get("/a?b=1")
    assert seen["destination.service"] == "reviews"
    assert seen["context.reporter.kind"] == "inbound"
    assert (seen["request.path"], seen["request.url_path"]) == ("/a?b=1", "/a")
    assert (seen["request.method"], seen["context.protocol"], seen["connection.mtls"]) == ("GET", "http", False)
    assert seen["source.ip"] == seen["origin.ip"] == ip_address("127.0.0.1")
    assert seen["request.headers"][":authority"] == seen["request.host"]
    assert "x-istio-attributes" not in seen["request.headers"]


async def test_a_denial(mesh: SimpleNamespace) -> None:
    await mesh.configure()
    mesh.mixer.answer = lambda seen, request: allow("request.path", code=7, message="deny.denier:Not allowed")
    for _ in range(2):
        got = await mesh.get()
        assert (got.status, got.body) == (403, "PERMISSION_DENIED:deny.denier:Not allowed")
        assert got.headers["x-mesh-reason"].startswith("UAEX Mixer refuses the request: PERMISSION_DENIED:deny")
    assert len(mesh.mixer.checks) == 1


async def test_a_directive_of_the_route(mesh: SimpleNamespace) -> None:
    def answer(seen: dict[str, Any], request: Any) -> CheckResponse:
        response = allow("request.path")
        directive = response.precondition.route_directive
        directive.direct_response_code = 418
        directive.direct_response_body = "tea"
        directive.response_header_operations.add(name="Pot", value="yes", operation="APPEND")
        return response

    mesh.mixer.answer = answer
    await mesh.configure()
    got = await mesh.get()
    assert (got.status, got.body, got.headers["pot"]) == (418, "tea", "yes")


@pytest.mark.parametrize(("fail_open", "status"), [(True, 200), (False, 503)])
async def test_without_mixer(mesh: SimpleNamespace, fail_open: bool, status: int) -> None:
    await mesh.configure(TransportPlan(fail_open=fail_open))
    await mesh.mixer.close()
    got = await mesh.get()
    assert got.status == status
    if not fail_open:
        assert got.body.startswith("UNAVAILABLE:")
    mesh.mixer = FakeMixer(mesh.mixer.port)
    await mesh.mixer.start()

    async def asked() -> None:
        while not mesh.mixer.checks:
            await mesh.get()
            await asyncio.sleep(0.05)

    await asyncio.wait_for(asked(), 20)
    assert (await mesh.get()).status == 200


async def test_failures_are_repeated_with_the_same_id(mesh: SimpleNamespace) -> None:
    await mesh.configure(TransportPlan(fail_open=False, max_retry=2, base_retry_wait=0.001))
    mesh.mixer.fails = [(grpc.StatusCode.UNAVAILABLE, "a"), (grpc.StatusCode.UNAVAILABLE, "b")]
    assert (await mesh.get()).status == 200
    assert len(mesh.mixer.checks) == 3
    assert len({request.deduplication_id for request in mesh.mixer.checks}) == 1


async def test_a_server_that_knows_fewer_words(mesh: SimpleNamespace) -> None:
    await mesh.configure()
    reason = "Request could not be processed due to invalid dictionary"
    mesh.mixer.fails = [(grpc.StatusCode.INVALID_ARGUMENT, reason)]
    got = await mesh.get()
    assert (got.status, got.body) == (400, f"INVALID_ARGUMENT:{reason}")
    assert (await mesh.get()).status == 200
    assert [request.global_word_count for request in mesh.mixer.checks] == [203, 111]


async def test_a_mixer_that_hangs_is_waited_for_as_long_as_stated() -> None:
    """It takes the connection and says nothing."""
    held: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(lambda reader, writer: held.append(writer), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    calls = MixerCalls(lambda cluster: Target(f"127.0.0.1:{port}"), 0.05)
    with pytest.raises(CallFailed, match=r"Mixer did not answer within 0\.05 s") as failed:
        await calls.check(CLOSED, Question(DictBag({}), "id"))
    assert failed.value.code == grpc.StatusCode.DEADLINE_EXCEEDED.value[0]
    await calls.close()
    for writer in held:
        writer.close()
    server.close()
    await server.wait_closed()


QUOTAS = (QuotaRulePlan(((QuotaClause("request.path", "prefix", "/limited"),),), (("requestcount", 1),)),)


async def test_quotas(mesh: SimpleNamespace) -> None:
    left = 3

    def answer(seen: dict[str, Any], request: Any) -> CheckResponse:
        nonlocal left
        response = allow("request.path")
        for name, params in request.quotas.items():
            granted = min(left, params.amount)
            left -= granted
            response.quotas[name].granted_amount = granted
            response.quotas[name].valid_duration.seconds = 60
            response.quotas[name].referenced_attributes.CopyFrom(response.precondition.referenced_attributes)
        return response

    mesh.mixer.answer = answer
    await mesh.configure(quotas=QUOTAS)
    assert (await mesh.get("/other")).status == 200
    assert not mesh.mixer.checks[0].quotas
    assert (await mesh.get("/limited")).status == 200
    params = mesh.mixer.checks[1].quotas["requestcount"]
    assert (params.amount, params.best_effort) == (1, False)
    assert (await mesh.get("/limited")).status == 200
    await mesh.until(lambda: len(mesh.mixer.checks) >= 3)
    params = mesh.mixer.checks[2].quotas["requestcount"]
    assert (params.amount, params.best_effort) == (10, True)
    got = [(await mesh.get("/limited")) for _ in range(6)]
    assert got[-1].status == 429
    assert got[-1].body == "RESOURCE_EXHAUSTED:Quota is exhausted for: requestcount"
    assert [item.status for item in got].count(200) == 1


async def test_reports(mesh: SimpleNamespace) -> None:
    await mesh.configure(attributes=attributes(destination_service="reviews"))
    mesh.mixer.answer = lambda seen, request: allow("request.path", code=7, message="no")
    await mesh.get("/a")
    await mesh.get("/a")
    await mesh.until(lambda: len(mesh.mixer.reported) == 2)
    first, second = mesh.mixer.reported
    assert (first["response.code"], first["check.error_code"], first["check.error_message"]) == (
        403,
        7,
        "PERMISSION_DENIED:no",
    )
    assert (first["check.cache_hit"], second["check.cache_hit"]) == (False, True)
    assert (first["destination.service"], first["context.proxy_error_code"]) == ("reviews", "UAEX")
    assert (first["request.size"], first["response.size"]) == (0, len("PERMISSION_DENIED:no"))
    assert first["response.headers"][":status"] == "403"
    assert timedelta() <= first["response.duration"] < timedelta(seconds=30)
    assert first["response.time"] >= first["request.time"]


async def test_reports_wait_for_a_mixer_that_comes_back(mesh: SimpleNamespace) -> None:
    await mesh.configure(check=False)
    await mesh.mixer.close()
    await mesh.get("/a")
    await mesh.until(lambda: mesh.hub.stats.total_remote_report_failures > 0)
    mesh.mixer = FakeMixer(mesh.mixer.port)
    await mesh.mixer.start()
    await mesh.until(lambda: len(mesh.mixer.reported) == 1)
    assert mesh.mixer.reported[0]["request.path"] == "/a"
    assert mesh.hub.stats.reports_dropped == 0


async def test_reports_that_do_not_fit_are_counted(mesh: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mizzen.proxy.app.mixer.reports.MAX_ENTRIES", 1)
    await mesh.configure(replace(CLOSED, report_batch=False), check=False)
    await mesh.mixer.close()
    for _ in range(3):
        await mesh.get("/a")
    await mesh.until(lambda: mesh.hub.stats.reports_dropped == 2)


async def test_a_connection(mesh: SimpleNamespace, app: SimpleNamespace) -> None:
    """Checked, refused, and reported."""
    port = app.unused_port()
    plan = TcpMixerPlan(CLOSED, ServicePlan(attributes=attributes(destination_service="mongo")))
    listener = ListenerPlan("tcp", "127.0.0.1", port, "inbound", TcpPlan("t", (WeightedCluster("c"),), mixer=plan))
    assert await mesh.deliver(listener) == ()
    mesh.mixer.answer = lambda seen, request: allow(
        code=7 if seen["context.protocol"] == "tcp" and seen["source.ip"] == ip_address("127.0.0.1") else 0
    )
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    with suppress(ConnectionResetError):
        assert await reader.read() == b""
    writer.close()
    await mesh.until(lambda: len(mesh.mixer.reported) == 1)
    (report,) = mesh.mixer.reported
    assert (report["connection.event"], report["destination.service"]) == ("close", "mongo")
    assert (report["check.error_code"], report["context.proxy_error_code"]) == (7, "UAEX")


async def test_mixers_that_are_no_longer_named_make_room(
    mesh: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mizzen.proxy.app.mixer.hub.MAX_SENDERS", 1)
    for number in range(2):
        await mesh.configure(replace(CLOSED, max_retry=number, batch_seconds=60.0), check=False)
        await mesh.get(f"/{number}")
        await mesh.until(lambda number=number: any(sender._transport.max_retry == number for sender in senders(mesh)))
    await mesh.until(lambda: len(mesh.mixer.reported) == 1)
    assert mesh.mixer.reported[0]["request.path"] == "/0"


def senders(mesh: SimpleNamespace) -> list[Any]:
    return list(mesh.hub._senders.values())
