"""Pilot while there is no API server."""

from __future__ import annotations

import asyncio
from pathlib import Path

import aiohttp
import pytest
import yaml

from mizzen.pilot.app.pilot import Pilot, serve
from mizzen.pilot.app.settings import Settings
from mizzen.runtime.address import Address, unused_port
from mizzen.runtime.errors import StartError
from mizzen.runtime.lifecycle import Lifecycle


def settings(tmp_path: Path, text: str, monitoring: int = 0) -> Settings:
    path = tmp_path / "config"
    path.write_text(text)
    return Settings(Address("127.0.0.1", 0), Address("127.0.0.1", monitoring), None, None, kubeconfig=str(path))


def nobody() -> str:
    """A kubeconfig for a port where nothing listens."""
    config = {
        "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{unused_port()}"}}],
        "contexts": [{"name": "x", "context": {"cluster": "c"}}],
        "current-context": "x",
    }
    return yaml.safe_dump(config)


async def test_it_is_not_ready_says_why_and_can_be_ended(tmp_path: Path) -> None:
    port = unused_port()
    lifecycle = Lifecycle()
    serving = asyncio.ensure_future(serve(settings(tmp_path, nobody(), port), lifecycle))
    async with asyncio.timeout(20), aiohttp.ClientSession() as session:
        text = ""
        while "Cannot connect" not in text:
            await asyncio.sleep(0.02)
            try:
                async with session.get(f"http://127.0.0.1:{port}/ready") as response:
                    assert response.status == 503
                    text = await response.text()
            except aiohttp.ClientConnectionError:
                continue  # its monitoring does not listen yet
        assert text.startswith("the configuration is not loaded: Cannot connect to host 127.0.0.1:")
        async with session.get(f"http://127.0.0.1:{port}/metrics") as response:
            samples = dict(
                line.split(" ") for line in (await response.text()).splitlines() if line.startswith("pilot_k")
            )
        assert float(samples["pilot_kubernetes_outages"]) > 0
        lifecycle.stop("test")
        await serving


async def test_a_broken_kubeconfig_ends_the_start(tmp_path: Path) -> None:
    with pytest.raises(StartError, match=r"cannot use the Kubernetes API: kubeconfig .*config: clusters"):
        Pilot(settings(tmp_path, "clusters: 1"))
