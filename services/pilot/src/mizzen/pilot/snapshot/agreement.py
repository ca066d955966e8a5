"""What the Pilots of one mesh tell each other about switching mutual TLS, so that none goes on before all may.

Each says what it goes by, how far its ports are, and which of its proxies are late. No I/O.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Self

from mizzen.pilot.snapshot.staging import BOTH, Place, Step, Steps, Taken, late_clients, settled, targets

if TYPE_CHECKING:
    from mizzen.pilot.snapshot.mesh import Mesh

MAX_NAMED: Final = 1_000
"""Of each set in a report, so that those of five Pilots fit in one object of Kubernetes."""

Names = frozenset[str] | None
"""None: too many to name, so anything may be among them."""


class NoReport(ValueError):
    """A text that is none; the message says why."""


@dataclass(frozen=True, slots=True)
class Report:
    """One Pilot's."""

    configuration: str
    """What it goes by, as a digest: those with the same one want the same of every port."""
    plain: Names
    """Ports on their way whose clients are told to speak plain text."""
    tls: Names
    """Ports on their way whose clients are told to speak mutual TLS."""
    servers: Names
    """Addresses of proxies that may have older listeners."""
    clients: bool
    """Some client may have older clusters and endpoints."""

    def text(self) -> str:
        """As others read it."""
        sets = {
            name: None if names is None else sorted(names)
            for name, names in (("plain", self.plain), ("tls", self.tls), ("servers", self.servers))
        }
        return json.dumps({"configuration": self.configuration, **sets, "clients": self.clients})

    @classmethod
    def read(cls, text: str) -> Self:
        """Raises NoReport."""
        try:
            found: Any = json.loads(text)
            plain, tls, servers = (
                None if found[name] is None else frozenset(map(str, found[name]))
                for name in ("plain", "tls", "servers")
            )
            return cls(str(found["configuration"]), plain, tls, servers, bool(found["clients"]))
        except (ValueError, TypeError, KeyError) as error:
            raise NoReport(f"not a report of a Pilot: {error}") from error


def configuration_of(mesh: Mesh) -> str:
    """A digest of what decides how ports are to be, the same on all Pilots that have read the same."""
    known = mesh.peers
    stated = [[*policy.key, policy.metadata.generation, policy.spec.model_dump_json()] for policy in known.policies]
    said = json.dumps([mesh.settings.enable_auto_mtls, known.root, stated])
    return hashlib.sha256(said.encode()).hexdigest()[:16]


def report(mesh: Mesh, configuration: str, proxies: Iterable[Taken]) -> Report:
    """What to tell of this mesh and the proxies that are connected here."""
    known = tuple(proxies)
    return Report(
        configuration,
        _named(str(place) for place, step in mesh.staging.items() if not step.offered),
        _named(str(place) for place, step in mesh.staging.items() if step.offered),
        _named(address for each in known if each.late_server for address in each.addresses),
        bool(late_clients(known)),
    )


def _named(names: Iterable[str]) -> Names:
    found = frozenset(names)
    return found if len(found) <= MAX_NAMED else None


@dataclass(frozen=True, slots=True)
class Others:
    """The reports of the other Pilots that are alive, by name. Implements `staging.Elsewhere`."""

    configuration: str
    reports: Mapping[str, Report | None]
    """None where nobody can read it."""

    def late_servers(self, place: Place) -> tuple[str, ...]:
        """Who may have a proxy of this port that does not take both yet."""
        return self._told(lambda each: "waits for the proxy" if _among(place.address, each.servers) else "")

    def late_clients(self, place: Place, offered: bool) -> tuple[str, ...]:
        """Who may have clients that do not speak yet what is `offered` to all."""
        return self._told(lambda each: _why_clients(each, place, offered))

    def _told(self, why: Callable[[Report], str]) -> tuple[str, ...]:
        """Of each Pilot that keeps this one waiting."""
        reasons = ((name, self._reason(each, why)) for name, each in self.reports.items())
        return tuple(f"Pilot {name} {reason}" for name, reason in reasons if reason)

    def _reason(self, other: Report | None, why: Callable[[Report], str]) -> str:
        if other is None:
            return "says what cannot be understood"
        if other.configuration != self.configuration:
            return "has read other PeerAuthentications"
        return why(other)


def _why_clients(other: Report, place: Place, offered: bool) -> str:
    if _among(str(place), other.plain if offered else other.tls):
        return "has not told its clients"
    return "waits for its clients" if other.clients else ""


def _among(name: str, names: Names) -> bool:
    return names is None or name in names


@dataclass(frozen=True, slots=True)
class Unknown:
    """Nothing is known of other Pilots, so nobody may go on. Implements `staging.Elsewhere`."""

    why: str

    def late_servers(self, _: Place) -> tuple[str, ...]:
        """The reason."""
        return (self.why,)

    def late_clients(self, _: Place, _offered: bool) -> tuple[str, ...]:
        """The reason."""
        return (self.why,)


def resumed(mesh: Mesh, configuration: str, reports: Iterable[Report]) -> Steps:
    """Where a Pilot begins that finds these reports, its own of before among them, and has told no proxy anything.

    Ports on their way take both, so that it is safe to begin with what either report says of their clients.
    """
    wanted = targets(mesh)
    places = {str(place): place for place in wanted}
    steps: dict[Place, Step] = {}
    for each in reports:
        if each.configuration != configuration:
            continue
        for names, offered in ((each.plain, False), (each.tls, True)):
            for name in names or ():
                place = places.get(name)
                if place is not None and Step(BOTH, offered) != settled(wanted[place]):
                    steps[place] = Step(BOTH, offered)
    return MappingProxyType(steps)
