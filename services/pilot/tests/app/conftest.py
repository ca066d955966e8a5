"""A whole Pilot in the process of the test, on folders and ports of its own."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from mizzen.pilot.app.pilot import Pilot
from mizzen.pilot.app.settings import Settings
from mizzen.pilot.push.debounce import Limits
from mizzen.runtime.address import Address, unused_port
from mizzen.runtime.files import write_atomic


class RunningPilot:
    """Configured by files, asked over HTTP."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._xds = Address("127.0.0.1", 0)
        self._following: asyncio.Task[None] | None = None
        self.pilot: Pilot

    async def start(self) -> None:
        """Begin, or begin again at the same xDS address as a new process would."""
        settings = Settings(
            self._xds, Address("127.0.0.1", 0), self._home / "config", self._home / "registry", self._mesh_config()
        )
        self.pilot = Pilot(settings, limits=Limits(quiet=0.03, endpoint_quiet=0.01))
        await self.pilot.start()
        self._xds = self.pilot.server.address
        self._following = asyncio.ensure_future(self.pilot.run())

    async def stop(self) -> None:
        if self._following is not None:
            self._following.cancel()
            await asyncio.gather(self._following, return_exceptions=True)
            self._following = None
            await self.pilot.close()

    @property
    def xds(self) -> Address:
        return self._xds

    def apply(self, path: str, text: str) -> None:
        """Write a file; `path` begins with config/ or registry/."""
        write_atomic(self._home / path, text)

    def delete(self, path: str) -> None:
        (self._home / path).unlink()

    async def get(self, path: str) -> Any:
        """The JSON of a debug page."""
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"http://{self.pilot.monitoring.address}{path}") as response,
        ):
            return await response.json()

    async def metrics(self) -> dict[str, float]:
        """Samples by name and labels, as Prometheus reads them."""
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"http://{self.pilot.monitoring.address}/metrics") as response,
        ):
            lines = (await response.text()).splitlines()
        samples = (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
        return {name: float(value) for name, value in samples}

    async def until(self, condition: Callable[[], Awaitable[Any]]) -> Any:
        """Ask again until the answer is true, and return it."""
        async with asyncio.timeout(30):
            while not (answer := await condition()):  # noqa: ASYNC110 - it asks over HTTP
                await asyncio.sleep(0.02)
        return answer

    async def until_connected(self, clients: int) -> None:
        """Wait until so many clients are connected; works while Pilot computes, when no page answers."""
        async with asyncio.timeout(30):
            while len(self.pilot.connections) < clients:  # noqa: ASYNC110 - there is no event for it
                await asyncio.sleep(0.005)

    async def synced(self, clients: int, *types: str) -> list[dict[str, Any]]:
        """Wait until so many clients have accepted these types; their rows of syncz."""

        async def rows() -> list[dict[str, Any]]:
            rows = await self.get("/debug/syncz")
            done = all(row["types"][kind]["status"] == "SYNCED" for row in rows for kind in types)
            return rows if len(rows) == clients and done else []

        return await self.until(rows)

    def _mesh_config(self) -> Path | None:
        path = self._home / "mesh.yaml"
        return path if path.exists() else None


@pytest.fixture
async def pilot(tmp_path: Path) -> AsyncIterator[RunningPilot]:
    running = RunningPilot(tmp_path)
    await running.start()
    yield running
    await running.stop()


ENVOY = Path(sys.executable).with_name("envoy")
HTTP2 = {
    "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
        "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
        "explicit_http_config": {"http2_protocol_options": {}},
    }
}


class Envoy:
    """One process of a stock Envoy that Pilot configures."""

    def __init__(self, home: Path) -> None:
        self.api_type = "GRPC"
        """The variant of ADS: GRPC or DELTA_GRPC."""
        self._home = home
        self._process: asyncio.subprocess.Process | None = None

    async def start(self, xds: Address, node: str, **metadata: Any) -> None:
        """`node` is the node's id without the domain."""
        path = self._home / "bootstrap.json"
        path.write_text(json.dumps(self._bootstrap(xds, node, metadata)))
        self._process = await asyncio.create_subprocess_exec(
            *(ENVOY, "-c", str(path), "--use-dynamic-base-id", "--concurrency", "1", "--log-level", "warning"),
            *("--log-path", str(self._home / "envoy.log")),
        )

    async def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            await self._process.wait()

    def _bootstrap(self, xds: Address, node: str, metadata: dict[str, Any]) -> dict[str, Any]:
        ads = {"ads": {}, "resource_api_version": "V3"}
        endpoint = {"address": {"socket_address": {"address": xds.host, "port_value": xds.port}}}
        return {
            "node": {"id": f"{node}~default.svc.cluster.local", "cluster": "test", "metadata": metadata},
            "dynamic_resources": {
                "lds_config": ads,
                "cds_config": ads,
                "ads_config": {
                    "api_type": self.api_type,
                    "transport_api_version": "V3",
                    "set_node_on_first_message_only": True,
                    "grpc_services": [{"envoy_grpc": {"cluster_name": "xds"}}],
                },
            },
            "static_resources": {
                "clusters": [
                    {
                        "name": "xds",
                        "type": "STATIC",
                        "typed_extension_protocol_options": HTTP2,
                        "load_assignment": {
                            "cluster_name": "xds",
                            "endpoints": [{"lb_endpoints": [{"endpoint": endpoint}]}],
                        },
                    }
                ]
            },
        }


@pytest.fixture
async def envoy(tmp_path: Path) -> AsyncIterator[Envoy]:
    process = Envoy(tmp_path)
    yield process
    await process.stop()


@pytest.fixture
def own_address() -> str:
    """A loopback address that no other test, nor a mesh on this machine, listens on."""
    port = unused_port()
    return f"127.{port >> 8}.{port & 255}.1"
