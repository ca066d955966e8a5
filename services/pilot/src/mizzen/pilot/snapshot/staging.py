"""Switching mutual TLS in steps, so that at every moment servers take what their clients speak.

A port that is to change takes both first. When its proxy has accepted that, clients are told what to speak from now on;
and when they have accepted that, the port refuses the other. A mesh holds only the ports that are on their way: all
others are where the PeerAuthentications want them, and so are those that are new, or new to a Pilot that starts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from mizzen.api.security import MutualTLSMode
from mizzen.pilot.base.labels import Labels
from mizzen.pilot.snapshot.peerauth import TLS_MODE, Accepted

if TYPE_CHECKING:
    from mizzen.pilot.snapshot.mesh import Mesh

BOTH: Final = MutualTLSMode.PERMISSIVE


class Place(NamedTuple):
    """A port of a workload."""

    address: str
    port: int

    def __str__(self) -> str:
        return f"{self.address}:{self.port}"


class Step(NamedTuple):
    """How far a port is."""

    serves: MutualTLSMode
    """What its listener takes."""
    offered: bool
    """Clients are told to speak mutual TLS."""


class Taken(NamedTuple):
    """What one connected proxy has accepted of what it was sent."""

    name: str
    addresses: tuple[str, ...]
    speaks_tls: bool
    """It has a certificate, so that what it is told of endpoints makes a difference."""
    late_server: str = ""
    """Why its listeners may be older ones; empty: they are not."""
    late_client: str = ""
    """The same of clusters and endpoints."""


Steps = Mapping[Place, Step]


class Elsewhere(Protocol):
    """What is known of proxies that follow other Pilots of the same mesh."""

    def late_servers(self, place: Place, /) -> tuple[str, ...]:
        """Who keeps clients of a port from being told, and why."""

    def late_clients(self, place: Place, offered: bool, /) -> tuple[str, ...]:
        """Who keeps a port from refusing what is not `offered` any more, and why."""


class Nowhere:
    """There is no other Pilot. Implements `Elsewhere`."""

    def late_servers(self, _: Place) -> tuple[str, ...]:
        """Nobody."""
        return ()

    def late_clients(self, _: Place, _offered: bool) -> tuple[str, ...]:
        """Nobody."""
        return ()


NOWHERE: Final = Nowhere()


def settled(target: MutualTLSMode) -> Step:
    """Where a port is when nothing is left to do."""
    return Step(target, target is not MutualTLSMode.DISABLE)


def next_step(step: Step, target: MutualTLSMode, *, servers: bool, clients: bool) -> Step:
    """`servers`, `clients`: all of them have accepted the present step."""
    wanted = settled(target)
    if step.offered != wanted.offered:
        both = Step(BOTH, step.offered)
        return Step(BOTH, wanted.offered) if step == both and servers else both
    return wanted if target is BOTH or clients else Step(BOTH, wanted.offered)


def targets(mesh: Mesh) -> dict[Place, MutualTLSMode]:
    """What each port of a workload with a certificate is to take."""
    on = mesh.settings.enable_auto_mtls
    known: dict[tuple[str, Labels], Accepted] = {}
    found: dict[Place, MutualTLSMode] = {}
    for endpoints in mesh.endpoints.values():
        for endpoint in endpoints:
            if TLS_MODE not in endpoint.labels:
                continue
            own = (endpoint.namespace, endpoint.labels)
            accepted = known.get(own) or known.setdefault(own, mesh.peers.of(*own))
            found[Place(endpoint.address, endpoint.port)] = accepted.on(endpoint.port) if on else MutualTLSMode.DISABLE
    return found


def begun(previous: Mesh, mesh: Mesh) -> Steps:
    """The steps of a new mesh: those of the previous one, and first steps of ports that are to change."""
    same = previous.peers == mesh.peers and previous.settings.enable_auto_mtls == mesh.settings.enable_auto_mtls
    if same and not previous.staging:
        return {}
    after, before = targets(mesh), targets(previous)
    steps: dict[Place, Step] = {}
    for place, target in after.items():
        if place in before:
            now = previous.staging.get(place) or settled(before[place])
            step = now if same else next_step(now, target, servers=False, clients=False)
            if step != settled(target):
                steps[place] = step
    return steps


def advanced(
    mesh: Mesh, proxies: Iterable[Taken], overdue: Callable[[Place], bool], elsewhere: Elsewhere = NOWHERE
) -> Steps:
    """The steps after these. A port that is `overdue` goes on to STRICT, whoever is late.

    A proxy's addresses are its own word, so anybody might make a port wait. Nothing else is ever hurried: while a port
    takes both, no request fails.
    """
    wanted = targets(mesh)
    known = tuple(proxies)
    no_client_late = not late_clients(known)
    steps: dict[Place, Step] = {}
    for place, step in mesh.staging.items():
        target = wanted.get(place)
        if target is None:
            continue
        hurried = target is MutualTLSMode.STRICT and overdue(place)
        servers = hurried or not (late_servers(known, place) or elsewhere.late_servers(place))
        clients = hurried or (no_client_late and not elsewhere.late_clients(place, step.offered))
        after = next_step(step, target, servers=servers, clients=clients)
        if after != settled(target):
            steps[place] = after
    return steps


def late_servers(proxies: Iterable[Taken], place: Place) -> tuple[str, ...]:
    """Who keeps clients of a port from being told, and why."""
    late = (each for each in proxies if each.late_server and place.address in each.addresses)
    return tuple(f"{each.name} {each.late_server}" for each in late)


def late_clients(proxies: Iterable[Taken]) -> tuple[str, ...]:
    """Who keeps ports from refusing what they are to refuse, and why."""
    return tuple(f"{each.name} {each.late_client}" for each in proxies if each.late_client and each.speaks_tls)


def waits_for(mesh: Mesh, proxies: Iterable[Taken], elsewhere: Elsewhere = NOWHERE) -> dict[Place, tuple[str, ...]]:
    """Of each port that is on its way: whom it waits for, and why; nobody where the next step is free."""
    wanted, known = targets(mesh), tuple(proxies)
    found: dict[Place, tuple[str, ...]] = {}
    for place, step in mesh.staging.items():
        if place not in wanted:
            continue
        if step.offered == settled(wanted[place]).offered:
            found[place] = late_clients(known) + elsewhere.late_clients(place, step.offered)
        else:
            found[place] = late_servers(known, place) + elsewhere.late_servers(place)
    return found
