"""Telemetry: what a report of one request costs the worker, the agent and Mixer, in CPU time of one core.

All of it runs in this process, with Istio's standard metrics as `mizzen up` applies them: what is left out are sockets
and gRPC, which a thousand reports share.
"""

from __future__ import annotations

import asyncio
import gc
import pickle
import tempfile
import time
from importlib.resources import files
from pathlib import Path

from bench import telemetry
from bench.measure import Figures, Result, compare, median
from mizzen.api.store.watch import FolderStore
from mizzen.mixer.adapters.defaults import DEFAULTS
from mizzen.mixer.runtime.engine import RuleEngine
from mizzen.mixer.server.mixer import Mixer
from mizzen.proto.mixer_pb2 import ReportRequest
from mizzen.proxy.app.mixer.client import MixerCalls
from mizzen.proxy.app.mixer.contract import MixerClient
from mizzen.proxy.app.mixer.embedded import PlainBatch
from mizzen.proxy.app.mixer.hub import MixerHub
from mizzen.proxy.engine.control import Reports
from mizzen.proxy.engine.mixer_plan import TransportPlan
from mizzen.runtime.address import Address

CASE = "mixer-report"
REQUESTS = 20_000
CLOSE_SECONDS = 60.0
PARTS = ("its worker", "its agent", "its Mixer")
EMBEDDED = "Mixer in the agent"


def report(quick: bool) -> list[Result]:
    """Reports per second and core with a Mixer service, what part of it each process has, and Mixer in the agent."""
    return asyncio.run(_report(3 if quick else 7))


async def _report(runs: int) -> list[Result]:
    told = telemetry.told_by_reviews(REQUESTS)
    gc.freeze()  # so many records are nobody's to look through but ours
    samples: dict[str, list[Figures]] = {name: [] for name in ("mizzen", *PARTS, EMBEDDED)}
    with tempfile.TemporaryDirectory(prefix="mizzen-bench-") as name:
        engine = await _engine(Path(name))
        try:
            for _ in range(runs + 1):  # the first one finds out what the others find in caches
                for part, seconds in (await _run(told, engine)).items():
                    samples[part].append(Figures(REQUESTS / seconds, cpu_us_per_request=seconds / REQUESTS * 1e6))
        finally:
            await engine.close()
    ours = samples["mizzen"][1:]
    nothing = dict.fromkeys(("rps", "p99", "rss"))
    parts = [Result(CASE, part, median(ours), median(samples[part][1:]), nothing, runs) for part in PARTS]
    return [*parts, compare(CASE, EMBEDDED, ours, samples[EMBEDDED][1:])]


async def _run(told: list[Reports], engine: RuleEngine) -> dict[str, float]:
    """Seconds of CPU time by part."""
    began = time.process_time()
    frames = [pickle.dumps(message, protocol=5) for message in told]
    worker = time.process_time() - began
    wire = Wire()
    agent = await _agent(frames, wire)
    mixer, began = Mixer(engine), time.process_time()
    for data in wire.sent:
        await mixer.report(ReportRequest.FromString(data))
    service = time.process_time() - began
    embedded = await _agent(frames, Embedded(engine))
    parts = dict(zip(PARTS, (worker, agent, service), strict=True))
    return {"mizzen": worker + agent + service, **parts, EMBEDDED: worker + embedded}


async def _agent(frames: list[bytes], mixer: MixerClient) -> float:
    """Seconds that the agent takes, with everything sent."""
    hub, began = MixerHub(mixer), time.process_time()
    for frame in frames:
        hub.heard(pickle.loads(frame), _nobody)
        await asyncio.sleep(0)
    await hub.close(CLOSE_SECONDS)
    if hub.stats.reports_dropped:
        raise RuntimeError(f"{hub.stats.reports_dropped} reports were dropped")
    return time.process_time() - began


class Wire(MixerCalls):
    """Keeps what would be sent to a Mixer service."""

    def __init__(self) -> None:
        super().__init__(str)
        self.sent: list[bytes] = []

    async def report(self, transport: TransportPlan, request: bytes) -> None:
        self.sent.append(request)


class Embedded(MixerCalls):
    """Rules in this process."""

    def __init__(self, engine: RuleEngine) -> None:
        super().__init__(str)
        self._engine = engine

    def batch(self, transport: TransportPlan) -> PlainBatch:  # type: ignore[override]
        return PlainBatch(self._engine)


async def _nobody(answers: object) -> None:
    """Reports are not answered."""


async def _engine(folder: Path) -> RuleEngine:
    """The rules of a new mesh, and its Pods."""
    config, registry = folder / "config", folder / "registry"
    config.mkdir()
    registry.mkdir()
    (config / "telemetry.yaml").write_text(files("mizzen.cli.local").joinpath("telemetry.yaml").read_text())
    (registry / "pods.yaml").write_text(telemetry.pods())
    DEFAULTS.registry, DEFAULTS.prometheus = registry, Address("127.0.0.1", 0)
    engine = RuleEngine(FolderStore(config))
    await engine.load()
    if engine.config.problems or engine.handlers.failed:
        raise RuntimeError(f"the rules: {engine.config.problems} {engine.handlers.failed}")
    return engine
