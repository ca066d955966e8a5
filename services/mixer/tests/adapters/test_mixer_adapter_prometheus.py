"""prometheus: definitions, series, and what a Prometheus server reads over HTTP."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from ipaddress import ip_address

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from mizzen.mixer.adapter import AdapterError, Environment, Use
from mizzen.mixer.adapters.defaults import DEFAULTS
from mizzen.mixer.adapters.prometheus.definition import Definition, safe_name
from mizzen.mixer.adapters.prometheus.series import Family, Registry
from mizzen.mixer.templates import Metric
from mizzen.runtime.address import Address, unused_port

REQUESTS = {
    "name": "requests_total",
    "instance_name": "requestcount.metric.istio-system",
    "kind": "COUNTER",
    "label_names": ["source_app", "response_code"],
}


def params(*metrics, **more):
    return {"metrics": list(metrics), "address": "127.0.0.1:0", **more}


def requests(value=1, **dimensions):
    return Metric("requestcount.metric.istio-system", value, dimensions or {"source_app": "a", "response_code": 200})


async def scrape(handler):
    url = f"http://{handler.exposition.address}/metrics"
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        assert response.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        return await response.text()


async def samples(handler):
    families = text_string_to_metric_families(await scrape(handler))
    return {(s.name, tuple(sorted(s.labels.items()))): s.value for family in families for s in family.samples}


async def test_a_counter_keeps_its_name(build):
    handler = await build("prometheus", params(REQUESTS))
    await handler.report([requests(), requests(2), requests(source_app='b"\\\n', response_code=503)])
    assert await scrape(handler) == (
        "# HELP istio_requests_total requests_total\n"
        "# TYPE istio_requests_total counter\n"
        'istio_requests_total{source_app="a",response_code="200"} 3\n'
        'istio_requests_total{source_app="b\\"\\\\\\n",response_code="503"} 1\n'
    )
    read = await samples(handler)
    assert read["istio_requests_total", (("response_code", "503"), ("source_app", 'b"\\\n'))] == 1


async def test_istios_double_request_count(build):
    """From Istio's task on collecting metrics: a counter without _total, and a value of 2."""
    metric = {
        "name": "double_request_count",
        "instance_name": "doublerequestcount.metric.istio-system",
        "kind": "COUNTER",
        "label_names": ["reporter", "source", "destination", "message"],
    }
    handler = await build("prometheus", params(metric))
    dimensions = {"reporter": "client", "source": "a", "destination": "b", "message": '"twice the fun!"'}
    await handler.report([Metric("doublerequestcount.metric.istio-system", 2, dimensions)])
    assert 'istio_double_request_count{reporter="client",source="a"' in await scrape(handler)


async def test_a_gauge_and_the_text_of_labels(build):
    metric = {"instance_name": "q.metric.default", "kind": 1, "labelNames": ["ip", "when"], "namespace": "my-mesh"}
    handler = await build("prometheus", params(metric))
    dimensions = {"ip": ip_address("10.0.0.1"), "when": timedelta(seconds=90)}
    for value in (5, 3.5):
        await handler.report([Metric("q.metric.default", value, dimensions)])
    assert await samples(handler) == {("mymesh_q_metric_default", (("ip", "10.0.0.1"), ("when", "1m30s"))): 3.5}


@pytest.mark.parametrize(
    ("buckets", "bounds"),
    [
        ({}, [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]),
        ({"explicit_buckets": {"bounds": [0.5, 1]}}, [0.5, 1]),
        ({"linearBuckets": {"numFiniteBuckets": 2, "width": 10, "offset": 5}}, [5, 15, 25]),
        (
            {"exponential_buckets": {"num_finite_buckets": 8, "scale": 1, "growth_factor": 10}},
            [10.0**n for n in range(9)],
        ),
    ],
)
def test_buckets(buckets, bounds):
    definition = Definition.model_validate({"instance_name": "i", "kind": "DISTRIBUTION", "buckets": buckets})
    assert list(definition.buckets.bounds) == bounds


async def test_a_distribution_in_seconds(build):
    metric = {
        "name": "request_duration_seconds",
        "instance_name": "d.metric.istio-system",
        "kind": "DISTRIBUTION",
        "buckets": {"explicit_buckets": {"bounds": [0.01, 1, 1000000]}},
    }
    handler = await build("prometheus", params(metric))
    values = [timedelta(milliseconds=10), timedelta(milliseconds=11), "2", 1, 10**7]
    await handler.report([Metric("d.metric.istio-system", value) for value in values])
    assert await scrape(handler) == (
        "# HELP istio_request_duration_seconds request_duration_seconds\n"
        "# TYPE istio_request_duration_seconds histogram\n"
        'istio_request_duration_seconds_bucket{le="0.01"} 1\n'
        'istio_request_duration_seconds_bucket{le="1"} 3\n'
        'istio_request_duration_seconds_bucket{le="1e+06"} 4\n'
        'istio_request_duration_seconds_bucket{le="+Inf"} 5\n'
        "istio_request_duration_seconds_sum 1.0000003021e+07\n"
        "istio_request_duration_seconds_count 5\n"
    )


@pytest.mark.parametrize(
    ("instance", "message"),
    [
        (Metric("other.metric.default", 1, {}), "no metric in the parameters has the instanceName other"),
        (requests(1, source_app="a"), "labelNames are response_code, source_app"),
        (requests(1, source_app="a", code=1), "has the dimensions code, source_app"),
        (requests("many"), "has the value 'many', which is not a number"),
        (requests(True), "which is not a number"),
        (requests(-1), "cannot go down by 1"),
    ],
)
async def test_a_bad_instance_does_not_stop_the_others(build, instance, message):
    handler = await build("prometheus", params(REQUESTS))
    with pytest.raises(AdapterError) as raised:
        await handler.report([instance, requests()])
    assert message in str(raised.value)
    assert 1 in (await samples(handler)).values()


async def test_series_expire(build):
    policy = {"metricsExpiryDuration": "10m", "expiryCheckIntervalDuration": "1h"}
    handler = await build("prometheus", params(REQUESTS, metricsExpirationPolicy=policy))
    await handler.report([requests()])
    handler.expire(before=asyncio.get_running_loop().time() - 600)
    assert await samples(handler)
    handler.expire(before=asyncio.get_running_loop().time() + 1)
    assert not await samples(handler)


async def test_series_expire_by_themselves(build):
    policy = {"metrics_expiry_duration": "2ms"}
    handler = await build("prometheus", params(REQUESTS, metrics_expiration_policy=policy))
    await handler.report([requests()])
    while await samples(handler):  # each look takes a turn of the loop
        continue


async def test_instances_may_share_their_dimensions(build):
    sizes = {**REQUESTS, "name": "sizes", "instance_name": "size.metric.default", "kind": "DISTRIBUTION"}
    handler = await build("prometheus", params(REQUESTS, sizes))
    shared = {"source_app": "a", "response_code": 200}
    names = (REQUESTS["instance_name"], sizes["instance_name"])
    count, size = (lambda value, name=name: Metric(name, value, shared) for name in names)
    with pytest.raises(AdapterError, match=r"'many', which is not a number$"):
        await handler.report([count(1), size(7), size("many"), count(2.5), size(timedelta(seconds=2))])
    read = await samples(handler)
    labels = (("response_code", "200"), ("source_app", "a"))
    assert [read[f"istio_{name}", labels] for name in ("requests_total", "sizes_sum", "sizes_count")] == [3.5, 9, 2]


def test_series_are_bounded():
    family = Family(Definition.model_validate(REQUESTS), most=1)
    family.series(("a", "200"), 0)
    with pytest.raises(ValueError, match="has 1 series and takes no more"):
        family.series(("b", "200"), 0)
    family.series(("a", "200"), 0)


def test_handlers_share_a_metric_defined_alike():
    registry = Registry()
    definition = Definition.model_validate(REQUESTS)
    first = registry.acquire(definition)
    second = registry.acquire(definition.model_copy(update={"instance_name": "again.metric.default"}))
    assert first is second
    first.series(("a", "200"), 0).add(1)
    registry.release(first)
    assert "istio_requests_total{" in registry.text()

    changed = registry.acquire(definition.model_copy(update={"label_names": ("a",)}))
    assert changed is not first
    assert "istio_requests_total{" not in registry.text()
    registry.release(second)
    registry.release(changed)
    assert registry.text() == ""


async def test_handlers_at_one_address_share_its_server(build):
    address = f"127.0.0.1:{unused_port()}"
    other = {**REQUESTS, "name": "other", "instance_name": "other.metric.default"}
    first = await build("prometheus", {"metrics": [REQUESTS], "address": address})
    await first.report([requests()])
    second = await build("prometheus", {"metrics": [REQUESTS, other], "address": address})
    await first.close()
    assert "istio_requests_total{" in await scrape(second)
    assert "istio_other" in await scrape(second)


async def test_without_an_address_it_is_the_programs(build, monkeypatch):
    monkeypatch.setattr(DEFAULTS, "prometheus", Address("127.0.0.1", 0))
    handler = await build("prometheus", {"metrics": [REQUESTS]})
    await handler.report([requests()])
    assert await samples(handler)


async def test_a_taken_address_is_named(build):
    handler = await build("prometheus", params(REQUESTS))
    with pytest.raises(AdapterError, match="is taken by another process"):
        await build("prometheus", {"address": str(handler.exposition.address)})


async def test_an_instance_that_no_metric_takes_is_told(build, caplog):
    await build("prometheus", params(REQUESTS), uses=(Use("lonely.metric.default", "metric", {}),))
    assert "lonely.metric.default" in caplog.text


@pytest.mark.parametrize(
    ("name", "safe"), [("/a/b.c d", "a_b_c_d"), ("request-count", "requestcount"), ("//x", "_x"), ("plain", "plain")]
)
def test_names_are_made_safe_as_istio_does(name, safe):
    assert safe_name(name) == safe


@pytest.mark.parametrize(
    ("metric", "message"),
    [
        ({"name": "x", "kind": "COUNTER"}, "metrics[0].instanceName: is required"),
        ({"instanceName": "x"}, "kind must be one of GAUGE, COUNTER, DISTRIBUTION"),
        ({"instanceName": "x", "kind": "HISTOGRAM"}, "metrics[0].kind: must be one of"),
        ({"instanceName": "x", "kind": 2, "label_names": ["a.b", "a_b"]}, "labelNames must differ"),
        ({"instanceName": "x", "kind": 3, "buckets": {"explicitBuckets": {"bounds": [2, 1]}}}, "each bound must be"),
        (
            {
                "instanceName": "x",
                "kind": 3,
                "buckets": {"explicitBuckets": {"bounds": [1]}, "linearBuckets": {"numFiniteBuckets": 1, "width": 1}},
            },
            "only one of linearBuckets",
        ),
    ],
)
async def test_wrong_definitions_are_named(metric, message):
    from mizzen.mixer.adapters import registry

    with pytest.raises(AdapterError) as raised:
        await registry.find("prometheus").build(params(metric), Environment("h", "n", ()))
    assert message in str(raised.value)


async def test_one_name_for_two_metrics_is_an_error(build):
    with pytest.raises(AdapterError, match="istio_requests_total is defined twice"):
        await build("prometheus", params(REQUESTS, {**REQUESTS, "kind": "GAUGE"}))
