"""Resident memory of a sidecar that knows a mesh of 100 services and does nothing."""

from __future__ import annotations

import time

from bench.measure import Figures, Result
from bench.peers.peer import Peer
from bench.process import rss_mb
from bench.rounds import alternate
from bench.stand import http_stand

SERVICES = 100
SETTLE_SECONDS = 2.0


def idle(quick: bool) -> list[Result]:
    """Mizzen's agent and one worker; of Envoy the Envoy process alone, without the agent that Istio puts beside it."""
    with http_stand("memory-idle", "sidecar", SERVICES) as stand:

        def one(peer: Peer) -> Figures:
            time.sleep(SETTLE_SECONDS)
            return Figures(rss_mb=rss_mb(peer.pids()))

        return alternate(stand, 3 if quick else 5, one)
