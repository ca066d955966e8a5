"""Bytes through a TCP listener, one connection, one direction."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import bench.bulk
from bench.cores import Cores, pinned
from bench.measure import Figures, Result
from bench.network import listens
from bench.peers.peer import Peer
from bench.process import Process, wait_until
from bench.rounds import Usage, alternate
from bench.scenario import Address
from bench.stand import bulk_stand
from mizzen.runtime.address import unused_port

SCRIPT = bench.bulk.__file__


def bulk(quick: bool) -> list[Result]:
    """MB per second from a source through the proxy to a sink; `rps` holds it, CPU time is per MB."""
    runs, seconds = (3, 2.0) if quick else (5, 5.0)
    source = Address("127.0.0.1", unused_port())
    core = Cores().rest
    with tempfile.TemporaryDirectory() as folder:
        process = Process("source", [sys.executable, SCRIPT, "source", str(source.port)], core, Path(folder))
        try:
            wait_until(lambda: listens(source.host, source.port), process, "listening")
            with bulk_stand("tcp-bulk", source) as stand:
                return alternate(stand, runs, lambda peer: _one(peer, seconds, core))
        finally:
            process.stop()


def _one(peer: Peer, seconds: float, core: set[int]) -> Figures:
    usage = Usage(peer)
    command = [sys.executable, SCRIPT, "sink", peer.address.host, str(peer.address.port), str(seconds)]
    with pinned(core):
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 30, check=False)
    if done.returncode:
        raise RuntimeError(f"the sink behind {peer.name} ended with {done.returncode}: {done.stderr}")
    seen = json.loads(done.stdout)
    megabytes = seen["bytes"] / 1e6
    # CPU time covers the warm-up as well, so it is divided by what flowed in both.
    share = seconds / (seconds + bench.bulk.WARM_UP_SECONDS)
    return Figures(
        rps=megabytes / seen["seconds"],
        cpu_us_per_request=usage.cpu_us() * share / megabytes,
        rss_mb=usage.rss_mb(),
    )
