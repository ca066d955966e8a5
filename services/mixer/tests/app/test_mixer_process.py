"""Mixer as a process of its own: a folder of rules in, gRPC and pages out."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import grpc
import pytest

from mizzen.attributes.batch import ReportEncoder
from mizzen.attributes.compressed import encode
from mizzen.attributes.referenced import decode_references
from mizzen.attributes.values import Value
from mizzen.proto.mixer_pb2 import CheckRequest, CheckResponse, ReportResponse
from mizzen.runtime.address import Address, unused_port

START_SECONDS = 30
SECONDS = 10
NOON = datetime(2018, 7, 31, 12, tzinfo=UTC)
# As Istio 1.0's tasks write them.
POLICY = """
apiVersion: config.istio.io/v1alpha2
kind: denier
metadata: {name: denyreviewsv3handler, namespace: default}
spec:
  status: {code: 7, message: Not allowed}
---
apiVersion: config.istio.io/v1alpha2
kind: checknothing
metadata: {name: denyreviewsv3request, namespace: default}
spec: {}
---
apiVersion: config.istio.io/v1alpha2
kind: rule
metadata: {name: denyreviewsv3, namespace: default}
spec:
  match: source.labels["version"] == "v3" && destination.labels["app"] == "ratings"
  actions:
  - handler: denyreviewsv3handler.denier
    instances: [denyreviewsv3request.checknothing]
"""
LOG = """
apiVersion: config.istio.io/v1alpha2
kind: stdio
metadata: {name: handler, namespace: istio-system}
spec: {outputAsJson: true, logStream: FILE, outputPath: OUTPUT}
---
apiVersion: config.istio.io/v1alpha2
kind: logentry
metadata: {name: newlog, namespace: istio-system}
spec:
  severity: '"warning"'
  timestamp: request.time
  variables: {path: request.path | "none", latency: response.duration | "0ms"}
---
apiVersion: config.istio.io/v1alpha2
kind: rule
metadata: {name: newlogstdio, namespace: istio-system}
spec:
  actions:
  - handler: handler.stdio
    instances: [newlog.logentry]
"""


@asynccontextmanager
async def mixer(config: Path) -> AsyncIterator[tuple[asyncio.subprocess.Process, grpc.aio.Channel, Address]]:
    """A process that serves; it is ended with SIGTERM."""
    address, monitoring = Address("127.0.0.1", unused_port()), Address("127.0.0.1", unused_port())
    flags = ("--address", str(address), "--monitoring-address", str(monitoring), "--config-dir", str(config))
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "mizzen.mixer", *flags)
    try:
        async with grpc.aio.insecure_channel(str(address)) as channel:
            await asyncio.wait_for(until_ready(process, channel), START_SECONDS)
            yield process, channel, monitoring
            process.send_signal(signal.SIGTERM)
            assert await asyncio.wait_for(process.wait(), SECONDS) == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def until_ready(process: asyncio.subprocess.Process, channel: grpc.aio.Channel) -> None:
    """Connected, or the process ended."""
    connected, ended = (asyncio.ensure_future(work) for work in (channel.channel_ready(), process.wait()))
    await asyncio.wait({connected, ended}, return_when=asyncio.FIRST_COMPLETED)
    for task in (connected, ended):
        task.cancel()
    assert process.returncode is None, "Mixer did not start"


async def check(channel: grpc.aio.Channel, **labels: Value) -> CheckResponse:
    call = channel.unary_unary("/istio.mixer.v1.Mixer/Check", CheckRequest.SerializeToString, CheckResponse.FromString)
    attributes: dict[str, Value] = {
        "context.reporter.kind": "inbound",
        "destination.namespace": "default",
        "source.labels": {"version": "v3"},
        "destination.labels": {"app": "ratings"},
    }
    request = CheckRequest(attributes=encode(attributes | labels), global_word_count=203)
    response = await call(request, timeout=SECONDS)
    assert isinstance(response, CheckResponse)
    return response


async def test_rules_of_a_folder_judge_requests(tmp_path: Path) -> None:
    (tmp_path / "policy.yaml").write_text(POLICY)
    async with mixer(tmp_path) as (_, channel, monitoring):
        precondition = (await check(channel)).precondition
        assert precondition.status.code == 7
        assert precondition.status.message == "denyreviewsv3handler.denier.default:Not allowed"
        assert (precondition.valid_duration.seconds, precondition.valid_use_count) == (5, 1000)
        assert decode_references(precondition.referenced_attributes) == {
            "context.reporter.kind": True,
            "destination.namespace": True,
            ("source.labels", "version"): True,
            ("destination.labels", "app"): True,
        }
        assert (await check(channel, **{"source.labels": {"version": "v2"}})).precondition.status.code == 0
        pages = await read_pages(monitoring)
    assert [rule["name"] for rule in json.loads(pages["/debug/rules"])] == ["denyreviewsv3.rule.default"]
    assert json.loads(pages["/debug/handlers"])[0]["name"] == "denyreviewsv3handler.denier.default"
    assert json.loads(pages["/debug/config"])["problems"] == []
    assert json.loads(pages["/debug/attributes"])["source.ip"] == "IP_ADDRESS"
    assert "mixer_config_rule_config_count 1.0" in pages["/metrics"]
    assert 'mixer_runtime_dispatch_count{adapter="denier"' in pages["/metrics"]


async def read_pages(monitoring: Address) -> dict[str, str]:
    paths = ("/debug/rules", "/debug/handlers", "/debug/config", "/debug/attributes", "/metrics")
    pages = {}
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=SECONDS)) as session:
        for path in paths:
            async with session.get(f"http://{monitoring}{path}") as response:
                assert response.status == 200
                pages[path] = await response.text()
    return pages


async def test_the_last_reports_are_written_before_the_end(tmp_path: Path) -> None:
    config, output = tmp_path / "config", tmp_path / "log.json"
    config.mkdir()
    (config / "log.yaml").write_text(LOG.replace("OUTPUT", str(output)))
    encoder = ReportEncoder()
    for number in range(100):
        encoder.add({"request.path": f"/{number}"})
    async with mixer(config) as (_, channel, _):
        report = channel.unary_unary("/istio.mixer.v1.Mixer/Report", None, ReportResponse.FromString)
        with pytest.raises(grpc.aio.AioRpcError, match=r"request\.time"):  # no fallback: such an entry is left out
            await report(encoder.finish(), timeout=SECONDS)
        complete = ReportEncoder()
        for number in range(100):
            complete.add({"request.path": f"/{number}", "request.time": NOON})
        await report(complete.finish(), timeout=SECONDS)
    assert [json.loads(line)["path"] for line in output.read_text().splitlines()] == [f"/{n}" for n in range(100)]


async def test_a_taken_port_ends_it_with_a_sentence(tmp_path: Path) -> None:
    taken = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", port := unused_port())
    flags = ("--address", "127.0.0.1:1", "--monitoring-address", f"127.0.0.1:{port}", "--config-dir", str(tmp_path))
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "mizzen.mixer", *flags, stderr=asyncio.subprocess.PIPE
    )
    _, errors = await asyncio.wait_for(process.communicate(), START_SECONDS)
    taken.close()
    await taken.wait_closed()
    assert process.returncode == 1
    assert f"127.0.0.1:{port} is taken by another process" in errors.decode()
    assert "Traceback" not in errors.decode()
