"""HTTP/1.1 through one proxy: 32 connections kept busy, and one connection for the latency."""

from __future__ import annotations

from bench import load
from bench.load import Target
from bench.measure import Figures, Result
from bench.peers.peer import Peer
from bench.rounds import Usage, alternate
from bench.scenario import PATH
from bench.stand import Stand, http_stand, pair_stand

SERVICES = 10
CONNECTIONS = 32


def sidecar(quick: bool) -> list[Result]:
    """The outbound HTTP proxy port of a sidecar, at saturation."""
    return _run("http1-sidecar", "sidecar", CONNECTIONS, quick)


def gateway(quick: bool) -> list[Result]:
    """The ingress gateway, at saturation."""
    return _run("http1-gateway", "router", CONNECTIONS, quick)


def latency(quick: bool) -> list[Result]:
    """A sidecar with one client that waits for each answer."""
    return _run("latency-c1", "sidecar", 1, quick)


def mutual_tls_pair(quick: bool) -> list[Result]:
    """Two sidecars with mutual TLS between them and one AuthorizationPolicy, at saturation."""
    with pair_stand("http1-mtls-pair", SERVICES) as stand:
        return in_turns(stand, CONNECTIONS, *_effort(quick))


def _run(name: str, role: str, connections: int, quick: bool) -> list[Result]:
    with http_stand(name, role, SERVICES) as stand:
        return in_turns(stand, connections, *_effort(quick))


def _effort(quick: bool) -> tuple[int, float]:
    """Runs, and the seconds of each."""
    return (3, 3.0) if quick else (5, 8.0)


def in_turns(stand: Stand, connections: int, runs: int, seconds: float) -> list[Result]:
    """Load on each peer of a stand, after a second that makes connections and warms code paths."""

    def one(peer: Peer, seconds: float = seconds) -> Figures:
        target = Target(peer.address.host, peer.address.port, stand.scenario.measured, PATH)
        usage = Usage(peer)
        seen = load.run(target, connections, seconds, stand.cores.rest)
        return Figures(
            rps=seen.rps,
            p50_us=seen.p50_us,
            p99_us=seen.p99_us,
            cpu_us_per_request=usage.cpu_us() / seen.requests,
            rss_mb=usage.rss_mb(),
        )

    for peer in stand.peers:
        one(peer, 1.0)
    return alternate(stand, runs, one)
