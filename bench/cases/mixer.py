"""Policy: what a check costs Mixer, and what a remembered check costs a proxy."""

from __future__ import annotations

import re
import subprocess
import tempfile
from contextlib import ExitStack
from pathlib import Path

from bench import policy
from bench.cases.http1 import CONNECTIONS, SERVICES, in_turns
from bench.cores import Cores, pinned
from bench.measure import Figures, Result
from bench.network import addresses
from bench.peers.mixer import CHECK, Empty, Mixer
from bench.peers.peer import Peer
from bench.rounds import Usage, alternate
from bench.scenario import Scenario
from bench.stand import Stand, policy_stand
from bench.tools import find


def check(quick: bool) -> list[Result]:
    """Checks over gRPC that no cache answers, with ten rules; beside it gRPC without anything behind it."""
    program = find("h2load")
    if program is None:
        raise RuntimeError("mixer-check needs h2load (apt install nghttp2-client)")
    runs, seconds = (3, 3) if quick else (5, 8)
    with tempfile.TemporaryDirectory(prefix="mizzen-bench-") as name, ExitStack() as stack:
        folder, cores, own = Path(name), Cores(), addresses()
        body = folder / "check"
        body.write_bytes(policy.check())
        peers: list[Peer] = []
        for kind in (Mixer, Empty):
            peers.append(kind(next(own), folder, cores.proxy))
            stack.callback(peers[-1].stop)
        for peer in peers:
            peer.wait_ready()

        def one(peer: Peer) -> Figures:
            usage = Usage(peer)
            requests = _h2load(program, peer, body, seconds, cores.rest)
            return Figures(rps=requests / seconds, cpu_us_per_request=usage.cpu_us() / requests, rss_mb=usage.rss_mb())

        return alternate(Stand(Scenario("mixer-check", "mixer", 0, ()), cores, tuple(peers)), runs, one)


def check_cached(quick: bool) -> list[Result]:
    """A sidecar that checks every request, from its cache but for one in 10,000; beside it the same without policy."""
    runs, seconds = (3, 3.0) if quick else (5, 8.0)
    with policy_stand("mixer-check-cached", SERVICES) as stand:
        return in_turns(stand, CONNECTIONS, runs, seconds)


def _h2load(program: str, peer: Peer, body: Path, seconds: int, core: set[int]) -> int:
    """How many checks were answered with status 200."""
    command = [program, "-D", str(seconds), "-c", "8", "-m", "8", "-d", str(body)]
    command += ["-H", "content-type: application/grpc", "-H", "te: trailers", f"http://{peer.address}{CHECK}"]
    with pinned(core):
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 30, check=True)
    found = re.search(r"status codes: (\d+) 2xx, (\d+) 3xx, (\d+) 4xx, (\d+) 5xx", done.stdout)
    failed = re.search(r"(\d+) failed, (\d+) errored", done.stdout)
    if found is None or failed is None or int(found[1]) == 0 or int(failed[1]) or int(failed[2]):
        raise RuntimeError(f"h2load on {peer.name}: {done.stdout}")
    return int(found[1])
