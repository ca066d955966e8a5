"""Pilot on a real Kubernetes API server: its first complete push, and the way of one Pod's readiness to all proxies."""

from __future__ import annotations

import asyncio
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from bench import kubernetes
from bench.ads import Sidecar
from bench.measure import Figures, Result
from bench.process import Process, cpu_seconds, rss_mb
from mizzen.runtime.address import unused_port

FIRST, CHANGE = "pilot-first-push", "pilot-endpoint-change"
SERVICES = 1_000
PODS_EACH = 5
PROXIES = 100
PUSH_SECONDS = 300.0
CHANGE_SECONDS = 30.0
LOOK_SECONDS = 0.002
REST_SECONDS = 0.2
NO_RATIO: dict[str, float | None] = dict.fromkeys(("rps", "p99", "rss"))


def endpoint_change(quick: bool) -> list[Result]:
    """1,000 Services with 5,000 Pods, 100 proxies; beside it the API server's own watch of EndpointSlices."""
    return asyncio.run(_run(20 if quick else 100))


async def _run(changes: int) -> list[Result]:
    with tempfile.TemporaryDirectory(prefix="mizzen-bench-") as name:
        folder = Path(name)
        print(f"  filling an API server with {SERVICES} Services and {SERVICES * PODS_EACH} Pods", file=sys.stderr)
        async with kubernetes.cluster(folder / "kube", SERVICES, PODS_EACH) as cluster:
            xds, began = f"127.0.0.1:{unused_port()}", time.monotonic()
            pilot = _pilot(xds, cluster, folder)
            try:
                async with _connected(xds) as first:
                    pushed = await _until(began, lambda: len(first[0].endpoints) >= SERVICES, PUSH_SECONDS)
                    alone = Figures(p50_us=pushed * 1e6, rss_mb=rss_mb(pilot.pids()))
                async with _connected(xds, PROXIES) as sidecars:
                    return [
                        await _all_proxies(pilot, alone, sidecars),
                        await _changes(pilot, cluster, sidecars, changes),
                    ]
            finally:
                pilot.stop()


def _pilot(xds: str, cluster: kubernetes.Cluster, folder: Path) -> Process:
    monitoring, kubeconfig = f"127.0.0.1:{unused_port()}", str(cluster.kubeconfig)
    flags = ("--xds-address", xds, "--monitoring-address", monitoring, "--kubeconfig", kubeconfig)
    command = (sys.executable, "-m", "mizzen.pilot", *flags)
    return Process("pilot", command, os.sched_getaffinity(0), folder)


@asynccontextmanager
async def _connected(xds: str, proxies: int = 1) -> AsyncIterator[list[Sidecar]]:
    sidecars = [Sidecar(number, kubernetes.NAMESPACE) for number in range(proxies)]
    streams = [asyncio.create_task(sidecar.run(xds)) for sidecar in sidecars]
    try:
        yield sidecars
    finally:
        for stream in streams:
            stream.cancel()
        await asyncio.gather(*streams, return_exceptions=True)


async def _all_proxies(pilot: Process, alone: Figures, sidecars: Sequence[Sidecar]) -> Result:
    """From Pilot's start to one proxy; then until 100 that come at once have everything, and the CPU time of each."""
    began, used = time.monotonic(), cpu_seconds(pilot.pids())
    seconds = await _until(began, lambda: all(len(sidecar.endpoints) >= SERVICES for sidecar in sidecars), PUSH_SECONDS)
    cpu = (cpu_seconds(pilot.pids()) - used) / len(sidecars) * 1e6
    together = Figures(p50_us=seconds * 1e6, cpu_us_per_request=cpu, rss_mb=rss_mb(pilot.pids()))
    return Result(FIRST, f"{len(sidecars)} proxies that come at once", alone, together, NO_RATIO, 1)


async def _changes(pilot: Process, cluster: kubernetes.Cluster, sidecars: Sequence[Sidecar], changes: int) -> Result:
    """From a Pod's readiness until the last proxy has it, and until a watch tells of its slice."""
    chance, slices = random.Random(1), Slices()
    ours, watched, used = [], [], cpu_seconds(pilot.pids())
    async with cluster.slices(slices.put):
        for pod in chance.sample(cluster.population.pods, changes):
            for is_ready in (False, True):
                conditions = _told(slices, cluster, pod, is_ready), _reached(cluster, pod, sidecars, is_ready)
                began = time.monotonic()
                times = asyncio.gather(*(_until(began, condition, CHANGE_SECONDS) for condition in conditions))
                await cluster.set_ready(pod, is_ready)
                seen, everywhere = await times
                if is_ready:
                    watched.append(seen)
                    ours.append(everywhere)
                await asyncio.sleep(REST_SECONDS)
    cpu = (cpu_seconds(pilot.pids()) - used) / changes / 2 * 1e6
    mine = _figures(ours, cpu, rss_mb(pilot.pids()))
    theirs = _figures(watched)
    assert mine.p99_us
    assert theirs.p99_us
    ratio = NO_RATIO | {"p99": mine.p99_us / theirs.p99_us}
    return Result(CHANGE, "a watch of EndpointSlices", mine, theirs, ratio, changes)


class Slices:
    """Ready addresses of services, as a watch told them last."""

    def __init__(self) -> None:
        self._ready: dict[str, set[str]] = {}

    def put(self, item: Any) -> None:
        self._ready[item["metadata"]["labels"]["kubernetes.io/service-name"]] = kubernetes.ready_addresses(item)

    def ready(self, service: str) -> set[str] | None:
        """None where nothing was told yet."""
        return self._ready.get(service)


def _told(slices: Slices, cluster: kubernetes.Cluster, pod: str, is_ready: bool) -> Callable[[], bool]:
    address, service = cluster.population.address(pod), kubernetes.service_of(pod)

    def told() -> bool:
        known = slices.ready(service)
        return known is not None and (address in known) == is_ready

    return told


def _reached(cluster: kubernetes.Cluster, pod: str, sidecars: Sequence[Sidecar], is_ready: bool) -> Callable[[], bool]:
    address = cluster.population.address(pod)
    name = f"outbound|{kubernetes.PORT}||{kubernetes.service_of(pod)}.{kubernetes.NAMESPACE}.svc.cluster.local"
    return lambda: all((address in sidecar.endpoints[name]) == is_ready for sidecar in sidecars)


async def _until(began: float, condition: Callable[[], bool], seconds: float) -> float:
    """Seconds since `began` when it holds."""
    while not condition():
        if time.monotonic() > began + seconds:
            raise RuntimeError(f"nothing of that after {seconds:g} s")
        await asyncio.sleep(LOOK_SECONDS)
    return time.monotonic() - began


def _figures(seconds: Sequence[float], cpu_us: float | None = None, rss: float | None = None) -> Figures:
    hundredths = statistics.quantiles(seconds, n=100, method="inclusive")
    return Figures(p50_us=hundredths[49] * 1e6, p99_us=hundredths[98] * 1e6, cpu_us_per_request=cpu_us, rss_mb=rss)
