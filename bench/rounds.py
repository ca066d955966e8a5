"""Runs in turns: A B C A B C, so that what drifts on the machine drifts for all."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

from bench.measure import Figures, Result, compare
from bench.peers.peer import Peer
from bench.process import cpu_seconds, rss_mb
from bench.stand import Stand

REST_SECONDS = 0.2


def alternate(stand: Stand, runs: int, run: Callable[[Peer], Figures]) -> list[Result]:
    """`runs` runs of each peer in turns; Mizzen, the first peer, compared with each other one."""
    samples: dict[str, list[Figures]] = {peer.name: [] for peer in stand.peers}
    for number in range(runs):
        for peer in stand.peers:
            figures = run(peer)
            samples[peer.name].append(figures)
            print(f"  {stand.scenario.name} run {number + 1}/{runs} {peer.name}: {_line(figures)}", file=sys.stderr)
            time.sleep(REST_SECONDS)
    ours, *others = stand.peers
    return [compare(stand.scenario.name, other.name, samples[ours.name], samples[other.name]) for other in others]


class Usage:
    """CPU time of a peer from here on."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        self.began = cpu_seconds(peer.pids())

    def cpu_us(self) -> float:
        return (cpu_seconds(self.peer.pids()) - self.began) * 1e6

    def rss_mb(self) -> float:
        return rss_mb(self.peer.pids())


def _line(figures: Figures) -> str:
    parts = [(figures.rps, "{:,.0f}/s"), (figures.p50_us, "p50 {:,.0f} µs"), (figures.p99_us, "p99 {:,.0f} µs")]
    parts += [(figures.cpu_us_per_request, "{:,.1f} µs CPU each"), (figures.rss_mb, "{:,.0f} MB")]
    return ", ".join(text.format(value) for value, text in parts if value is not None)
