"""HTTP load on a proxy: `wrk`, or a small generator in Python where it is not installed."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from bench.cores import pinned
from bench.tools import find

SCRIPT = Path(__file__).with_name("wrk.lua")


@dataclass(frozen=True)
class Target:
    """What is requested, and where."""

    address: str
    port: int
    host: str
    path: str


@dataclass(frozen=True)
class Load:
    """What the clients saw."""

    requests: int
    seconds: float
    p50_us: float
    p99_us: float

    @property
    def rps(self) -> float:
        return self.requests / self.seconds


def run(target: Target, connections: int, seconds: float, core: set[int]) -> Load:
    """A closed loop of `connections` clients for some seconds; an error or a status other than 2xx is a failure."""
    wrk = find("wrk")
    url = f"http://{target.address}:{target.port}{target.path}"
    if wrk:
        command = [wrk, "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "-s", str(SCRIPT)]
        command += ["-H", f"Host: {target.host}", url]
    else:
        command = [sys.executable, "-m", "bench.pyload", str(connections), str(seconds), target.host, url]
    with pinned(core):
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=seconds + 30, check=False, cwd=SCRIPT.parents[1]
        )
    if done.returncode:
        raise RuntimeError(f"{command[0]} ended with {done.returncode}: {done.stderr or done.stdout}")
    seen = json.loads(done.stdout.splitlines()[-1])
    if seen["errors"] or not seen["requests"]:
        kinds = seen["kinds"]
        raise RuntimeError(f"{seen['errors']} of {seen['requests']} requests to {url} failed: {kinds}")
    return Load(seen["requests"], seen["duration_us"] / 1e6, seen["p50_us"], seen["p99_us"])
