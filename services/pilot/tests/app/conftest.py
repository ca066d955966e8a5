"""A whole Pilot in the process of the test, on folders and ports of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from mizzen.pilot.app.pilot import Pilot
from mizzen.pilot.app.settings import Settings
from mizzen.pilot.push.debounce import Limits
from mizzen.runtime.address import Address
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
