"""statsd: lines over real UDP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from mizzen.mixer.adapter import AdapterError
from mizzen.mixer.adapters.statsd.names import compile_name
from mizzen.mixer.templates import Metric

NAME = "requestcount.metric.istio-system"


class Daemon(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.datagrams: asyncio.Queue[str] = asyncio.Queue()

    def datagram_received(self, data: bytes, address: object) -> None:
        self.datagrams.put_nowait(data.decode())


@pytest.fixture
async def daemon() -> AsyncIterator[Daemon]:
    loop = asyncio.get_running_loop()
    transport, daemon = await loop.create_datagram_endpoint(Daemon, local_addr=("127.0.0.1", 0))
    daemon.address = "127.0.0.1:{}".format(transport.get_extra_info("sockname")[1])
    yield daemon
    transport.close()


def params(daemon, kind, **more):
    template = "{{.source}}-{{.destination}}.count"
    return {"address": daemon.address, "metrics": {NAME: {"type": kind, "name_template": template}}, **more}


@pytest.mark.parametrize(
    ("kind", "value", "line"),
    [
        ("COUNTER", 3, "a-b.count:3|c"),
        ("GAUGE", 3, "a-b.count:3|g"),
        ("GAUGE", -3, "a-b.count:0|g\na-b.count:-3|g"),
        ("DISTRIBUTION", timedelta(milliseconds=1.5), "a-b.count:1.5|ms"),
        (3, 7, "a-b.count:7|c"),
    ],
)
async def test_kinds(build, daemon, kind, value, line):
    handler = await build("statsd", params(daemon, kind, flushDuration="1ms"))
    await handler.report([Metric(NAME, value, {"source": "a", "destination": "b"})])
    assert await daemon.datagrams.get() == line


async def test_lines_share_a_datagram_up_to_its_size(build, daemon):
    handler = await build("statsd", params(daemon, "COUNTER", prefix="mesh", flush_bytes=45))
    await handler.report([Metric(NAME, n, {"source": "a", "destination": "b"}) for n in range(3)])
    await handler.close()
    assert await daemon.datagrams.get() == "mesh.a-b.count:0|c\nmesh.a-b.count:1|c"
    assert await daemon.datagrams.get() == "mesh.a-b.count:2|c"


async def test_sampling(build, daemon, monkeypatch):
    handler = await build("statsd", params(daemon, "COUNTER", samplingRate=0.5))
    chances = iter([0.7, 0.2])
    monkeypatch.setattr("mizzen.mixer.adapters.statsd.adapter.random.random", lambda: next(chances))
    await handler.report([Metric(NAME, n, {"source": "a", "destination": "b"}) for n in (1, 2)])
    await handler.close()
    assert await daemon.datagrams.get() == "a-b.count:2|c|@0.5"


@pytest.mark.parametrize(
    ("kind", "instance", "message"),
    [
        ("COUNTER", Metric(NAME, 0.5), "is a COUNTER and needs a whole number, got '0.5'"),
        ("GAUGE", Metric(NAME, timedelta(1)), "is a GAUGE and needs a whole number"),
        ("DISTRIBUTION", Metric(NAME, "x"), "needs a whole number or a duration, got 'x'"),
        ("COUNTER", Metric("other", 1), "metrics has nothing for the instance other"),
    ],
)
async def test_a_bad_instance_does_not_stop_the_others(build, daemon, kind, instance, message):
    handler = await build("statsd", params(daemon, kind))
    with pytest.raises(AdapterError) as raised:
        await handler.report([instance, Metric(NAME, 1, {"source": "a", "destination": "b"})])
    assert message in str(raised.value)
    await handler.close()
    assert (await daemon.datagrams.get()).startswith("a-b.count:1")


@pytest.mark.parametrize(
    ("template", "name"),
    [
        ("", "i.metric.default"),
        ("plain", "plain"),
        ("{{.a}}", "1"),
        ('x.{{ index . "b.c" }}.{{- .a -}}', "x.v_w.1"),
        ("{{.missing}}", "<no value>"),
    ],
)
def test_names(template, name):
    assert compile_name(template, "i.metric.default")({"a": 1, "b.c": "v:w"}) == name


@pytest.mark.parametrize("template", ["{{if .a}}x{{end}}", "{{.a", "a}}", "{{.a | upper}}"])
def test_names_that_are_more_than_names(template):
    with pytest.raises(ValueError, match=r"dimensions in it|braces"):
        compile_name(template, "i")


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"metrics": {NAME: {}}}, ".type: is required"),
        ({"metrics": {NAME: {"type": "UNKNOWN"}}}, "must be one of COUNTER, GAUGE, DISTRIBUTION"),
        ({"metrics": {NAME: {"type": 1, "nameTemplate": "{{"}}}, "braces do not match"),
        ({"samplingRate": -1}, "samplingRate: must be at least 0"),
        ({"flushBytes": -1}, "flushBytes: must be at least 0"),
    ],
)
async def test_wrong_parameters_are_named(build, more, message):
    with pytest.raises(AdapterError) as raised:
        await build("statsd", more)
    assert message in str(raised.value)
