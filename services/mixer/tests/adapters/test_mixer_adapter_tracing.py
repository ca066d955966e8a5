"""zipkin and jaeger: spans over real HTTP, in the formats their servers take."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from aiohttp import web

from mizzen.mixer.adapter import AdapterError
from mizzen.mixer.adapters.tracing.span import is_sampled, rewritten, span_of
from mizzen.mixer.templates import TraceSpan

START = datetime(2018, 7, 31, 12, 0, 0, 5, tzinfo=UTC)
MICROS = 1533038400000005
TRACE, SPAN, PARENT = "463ac35c9f6413ad48485a3953bb6124", "a2fb4a1d1a96d312", "0020000000000001"


def span(**more):
    fields = {
        "trace_id": TRACE, "span_id": SPAN, "parent_span_id": PARENT, "span_name": "/reviews", "start_time": START,
        "end_time": START + timedelta(milliseconds=2), "http_status_code": 200,
        "span_tags": {"destination.workload.name": "reviews-v1", "source.service": "productpage", "size": 5},
    }  # fmt: skip
    return TraceSpan("default.tracespan.istio-system", **{**fields, **more})


class Collector:
    """Takes POSTs of JSON; answers as told."""

    def __init__(self) -> None:
        self.posts: asyncio.Queue[object] = asyncio.Queue()
        self.statuses: list[int] = []
        self.url = ""

    async def take(self, request: web.Request) -> web.Response:
        assert request.headers["Content-Type"] == "application/json"
        self.posts.put_nowait(await request.json())
        return web.Response(status=self.statuses.pop(0) if self.statuses else 202)


@pytest.fixture
async def collector() -> AsyncIterator[Collector]:
    collector = Collector()
    application = web.Application()
    application.router.add_post("/spans", collector.take)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    collector.url = f"http://127.0.0.1:{runner.addresses[0][1]}/spans"
    yield collector
    await runner.cleanup()


async def test_zipkin(build, collector):
    handler = await build("zipkin", {"url": collector.url})
    await handler.report([span(), span(client_span=True, parent_span_id="", http_status_code=503, end_time=START)])
    await handler.close()
    tags = {"destination.workload.name": "reviews-v1", "source.service": "productpage", "size": "5"}
    assert await collector.posts.get() == [
        {
            "traceId": TRACE, "id": SPAN, "parentId": PARENT, "name": "/reviews", "kind": "SERVER", "shared": True,
            "timestamp": MICROS, "duration": 2000, "localEndpoint": {"serviceName": "reviews-v1"}, "tags": tags,
        },
        {
            "traceId": TRACE, "id": SPAN, "name": "/reviews", "kind": "CLIENT", "timestamp": MICROS, "duration": 1,
            "localEndpoint": {"serviceName": "productpage"}, "tags": {**tags, "error": "503"},
        },
    ]  # fmt: skip


async def test_jaeger_by_otlp(build, collector):
    handler = await build("jaeger", {"url": collector.url})
    await handler.report([span(), span(http_status_code=500), span(client_span=True, span_tags={})])
    await handler.close()
    reviews, unknown = (await collector.posts.get())["resourceSpans"]
    assert reviews["resource"] == {"attributes": [{"key": "service.name", "value": {"stringValue": "reviews-v1"}}]}
    good, bad = reviews["scopeSpans"][0]["spans"]
    assert good == {
        "traceId": TRACE, "spanId": SPAN, "parentSpanId": PARENT, "name": "/reviews", "kind": 2,
        "startTimeUnixNano": str(MICROS * 1000), "endTimeUnixNano": str(MICROS * 1000 + 2_000_000),
        "attributes": [
            {"key": "destination.workload.name", "value": {"stringValue": "reviews-v1"}},
            {"key": "source.service", "value": {"stringValue": "productpage"}},
            {"key": "size", "value": {"stringValue": "5"}},
            {"key": "http.response.status_code", "value": {"intValue": "200"}},
        ],
    }  # fmt: skip
    assert bad["status"] == {"code": 2, "message": "HTTP 500"}
    assert unknown["resource"]["attributes"][0]["value"] == {"stringValue": "unknown"}
    assert unknown["scopeSpans"][0]["spans"][0]["kind"] == 3


async def test_a_collector_that_refuses_is_asked_again(build, collector, caplog):
    collector.statuses = [503]
    handler = await build("zipkin", {"url": collector.url, "pushInterval": "1ms"})
    await handler.report([span()])
    first, second = await collector.posts.get(), await collector.posts.get()
    assert first == second
    assert "answered 503" in caplog.text


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, (TRACE, SPAN, PARENT)),
        ({"trace_id": "48485A3953BB6124"}, ("000000000000000048485a3953bb6124", SPAN, PARENT)),
        ({"parent_span_id": ""}, (TRACE, SPAN, "")),
        ({"parent_span_id": "0000000000000000"}, (TRACE, SPAN, "")),
        ({"span_id": ""}, (TRACE, TRACE[16:], PARENT)),
        ({"rewrite_client_span_id": True}, (TRACE, SPAN, rewritten(SPAN))),
        ({"rewrite_client_span_id": True, "client_span": True}, (TRACE, rewritten(SPAN), PARENT)),
    ],
)
def test_ids(fields, expected):
    made = span_of(span(**fields))
    assert (made.trace_id, made.span_id, made.parent_id) == expected


@pytest.mark.parametrize("fields", [{"trace_id": ""}, {"trace_id": "x"}, {"trace_id": "1" * 33}, {"span_id": "1" * 17}])
async def test_a_bad_id_does_not_stop_the_others(build, collector, fields):
    handler = await build("zipkin", {"url": collector.url})
    with pytest.raises(AdapterError, match="id must be hexadecimal"):
        await handler.report([span(**fields), span()])
    await handler.close()
    assert len(await collector.posts.get()) == 1


@pytest.mark.parametrize(("probability", "kept"), [(0.0, 0), (0.25, 250), (1.0, 1000)])
def test_sampling_is_by_trace(probability, kept):
    spans = [span_of(span(trace_id=f"{number * 2**64 // 1000:016x}")) for number in range(1000)]
    assert sum(is_sampled(made, probability) for made in spans) == pytest.approx(kept, abs=1)


@pytest.mark.parametrize("adapter", ["zipkin", "jaeger"])
@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({}, "url: is required"),
        ({"url": "zipkin:9411"}, "url: must be an http or https URL"),
        ({"url": "http://z/", "sampleProbability": 2}, "sampleProbability: must be at most 1"),
    ],
)
async def test_wrong_parameters_are_named(build, adapter, params, message):
    with pytest.raises(AdapterError) as raised:
        await build(adapter, params)
    assert message in str(raised.value)
