"""Everything a case runs on: the back end, Pilot, and the peers, ready to take requests."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.backend import Backend
from bench.cores import Cores
from bench.network import addresses
from bench.peers.agent import Envoy, Mizzen
from bench.peers.haproxy import Haproxy
from bench.peers.mixer import Mixer
from bench.peers.pair import Pair
from bench.peers.peer import Peer
from bench.peers.pilot import Pilot
from bench.scenario import Address, Scenario
from bench.tools import find


@dataclass(frozen=True)
class Stand:
    """The peers of a case; the first is Mizzen."""

    scenario: Scenario
    cores: Cores
    peers: tuple[Peer, ...]


@contextmanager
def http_stand(name: str, role: str, services: int) -> Iterator[Stand]:
    """Proxies in front of an HTTP back end."""
    with _folder() as folder, ExitStack() as stack:
        cores = Cores()
        backend = Backend(folder, cores.rest)
        stack.callback(backend.stop)
        scenario = Scenario(name, role, services, backend.endpoints)
        yield Stand(scenario, cores, _peers(scenario, cores, folder, stack))


@contextmanager
def policy_stand(name: str, services: int) -> Iterator[Stand]:
    """The same sidecar twice, the first one with a check of every request."""
    with _folder() as folder, ExitStack() as stack:
        cores, own = Cores(), addresses()
        backend = Backend(folder, cores.rest)
        stack.callback(backend.stop)
        scenario = Scenario(name, "sidecar", services, backend.endpoints)
        mixer = Mixer(next(own), folder, cores.rest)
        stack.callback(mixer.stop)
        mixer.wait_ready()
        peers: list[Peer] = []
        for label, checks in (("mizzen", mixer.address), ("mizzen without policy", None)):
            place = folder / f"{len(peers)}"
            place.mkdir()
            pilot = Pilot(scenario, next(own), place, cores.rest, checks)
            stack.callback(pilot.stop)
            peer = Mizzen(scenario, pilot, next(own), place, cores.proxy)
            peer.name = label
            stack.callback(peer.stop)
            peer.wait_ready()
            peers.append(peer)
        yield Stand(scenario, cores, tuple(peers))


@contextmanager
def pair_stand(name: str, services: int) -> Iterator[Stand]:
    """A pair of sidecars of each data plane in front of an HTTP back end."""
    with _folder() as folder, ExitStack() as stack:
        cores, own = Cores(), addresses()
        backend = Backend(folder, cores.rest)
        stack.callback(backend.stop)
        scenario = Scenario(name, "sidecar", services, backend.endpoints)
        peers = []
        for engine in ("python", "envoy"):
            (folder / engine).mkdir()
            peers.append(Pair(engine, scenario, own, folder / engine, cores))
            stack.callback(peers[-1].stop)
        for peer in peers:
            peer.wait_ready()
        yield Stand(scenario, cores, tuple(peers))


@contextmanager
def bulk_stand(name: str, source: Address) -> Iterator[Stand]:
    """Proxies in front of a source of bytes."""
    with _folder() as folder, ExitStack() as stack:
        cores = Cores()
        scenario = Scenario(name, "sidecar", 0, (), bulk=source)
        yield Stand(scenario, cores, _peers(scenario, cores, folder, stack))


@contextmanager
def _folder() -> Iterator[Path]:
    """A folder for config and logs; its name is short, since Unix sockets may lie in it."""
    with tempfile.TemporaryDirectory(prefix="mizzen-bench-") as folder:
        yield Path(folder)


def _peers(scenario: Scenario, cores: Cores, folder: Path, stack: ExitStack) -> tuple[Peer, ...]:
    """Start Pilot and the peers; `stack` stops them in the opposite order."""
    own = addresses()
    pilot = Pilot(scenario, next(own), folder, cores.rest)
    stack.callback(pilot.stop)
    peers: list[Peer] = []
    for kind in (Mizzen, Envoy):
        peers.append(kind(scenario, pilot, next(own), folder, cores.proxy))
        stack.callback(peers[-1].stop)
    haproxy = find("haproxy")
    if haproxy:
        peers.append(Haproxy(haproxy, scenario, next(own), folder, cores.proxy))
        stack.callback(peers[-1].stop)
    for peer in peers:
        peer.wait_ready()
    return tuple(peers)
