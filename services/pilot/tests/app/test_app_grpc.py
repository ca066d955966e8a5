"""gRPC's own xDS client, unmodified, finds a service through Pilot."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest

SERVICE = """
apiVersion: v1
kind: Service
metadata: {name: echo}
spec: {ports: [{port: 7070, name: grpc}]}
"""
SLICE = """
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: echo-1, labels: {kubernetes.io/service-name: echo}}
addressType: IPv4
ports: [{name: grpc, port: PORT}]
endpoints: [{addresses: [127.0.0.1]}]
"""
CLIENT = """
import sys, grpc
with grpc.insecure_channel("xds:///echo.default.svc.cluster.local:7070") as channel:
    call = channel.unary_unary("/test.Echo/Say")
    for line in sys.stdin:
        print(call(line.strip().encode(), timeout=20, wait_for_ready=True).decode(), flush=True)
"""


class Echo:
    """A backend that says who it is."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._server = grpc.aio.server()
        handler = grpc.unary_unary_rpc_method_handler(self._say)
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Echo", {"Say": handler}),))

    async def _say(self, request: bytes, context: Any) -> bytes:
        return f"{self._name}: ".encode() + request

    async def start(self) -> int:
        port = int(self._server.add_insecure_port("127.0.0.1:0"))
        await self._server.start()
        return port

    async def stop(self) -> None:
        await self._server.stop(0)


@pytest.fixture
async def ports() -> AsyncIterator[dict[str, int]]:
    backends = {name: Echo(name) for name in ("one", "two")}
    yield {name: await backend.start() for name, backend in backends.items()}
    for backend in backends.values():
        await backend.stop()


@pytest.fixture
async def client(pilot: Any, tmp_path: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    bootstrap = {
        "xds_servers": [
            {"server_uri": str(pilot.xds), "channel_creds": [{"type": "insecure"}], "server_features": ["xds_v3"]}
        ],
        "node": {
            "id": "sidecar~127.0.0.1~caller.default~default.svc.cluster.local",
            "metadata": {"GENERATOR": "grpc"},
        },
    }
    path = tmp_path / "grpc.json"
    path.write_text(json.dumps(bootstrap))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", CLIENT),
        env={**os.environ, "GRPC_XDS_BOOTSTRAP": str(path)},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    yield process
    if process.returncode is None:
        process.kill()
    await process.wait()


async def test_the_xds_resolver_finds_a_service_and_follows_it(
    pilot: Any, client: asyncio.subprocess.Process, ports: dict[str, int]
) -> None:
    async def say(word: str) -> str:
        assert client.stdin is not None
        assert client.stdout is not None
        client.stdin.write(f"{word}\n".encode())
        async with asyncio.timeout(30):
            return (await client.stdout.readline()).decode().strip()

    pilot.apply("registry/echo.yaml", SLICE.replace("PORT", str(ports["one"])))
    pilot.apply("config/echo.yaml", SERVICE)
    await pilot.until(lambda: pilot.get("/debug/endpointz"))
    assert await say("hello") == "one: hello"
    [row] = await pilot.synced(1, "cds", "eds", "lds", "rds")
    assert (row["proxy"], row["protocol"]) == ("caller.default", "sotw")
    pilot.apply("registry/echo.yaml", SLICE.replace("PORT", str(ports["two"])))
    await pilot.until(lambda: moved(pilot, ports["two"]))
    await pilot.synced(1, "eds")

    async def answers_two() -> bool:
        return await say("again") == "two: again"

    await pilot.until(answers_two)
    assert not [name for name in await pilot.metrics() if name.startswith("pilot_total_xds_rejects")]


async def moved(pilot: Any, port: int) -> bool:
    """Pilot knows the new endpoint."""
    [entry] = await pilot.get("/debug/endpointz")
    return [endpoint["port"] for endpoint in entry["endpoints"]] == [port]
