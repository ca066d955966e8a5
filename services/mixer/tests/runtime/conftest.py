"""Makes `runtime_support` importable, and closes what tests start."""

import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

HERE = str(Path(__file__).parent)
if HERE not in sys.path:
    sys.path.append(HERE)

from runtime_support import Probe, Script  # noqa: E402 - the path comes first


@pytest.fixture
async def start() -> AsyncIterator[Callable[..., Awaitable[Probe]]]:
    """Starts an engine over documents, whose handlers play a script."""
    probes: list[Probe] = []

    async def start(text: str, script: Script | None = None) -> Probe:
        probe = Probe(script or Script())
        probes.append(probe)
        probe.store.put(text)
        await probe.engine.load()
        return probe

    yield start
    for probe in probes:
        await probe.engine.close()
        await probe.settled()
