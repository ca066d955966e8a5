"""What a sidecar can reach: the Sidecar resource chosen for it, and the services and routes that lets through."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from mizzen.api.resource import Resource
from mizzen.api.sidecar import IstioEgressListener, Sidecar
from mizzen.pilot.base import host as hosts
from mizzen.pilot.base import protocol
from mizzen.pilot.base.labels import Labels, labels
from mizzen.pilot.base.protocol import Protocol
from mizzen.pilot.snapshot.select import visible
from mizzen.pilot.snapshot.service import Port, Service
from mizzen.pilot.snapshot.virtualservice import MESH, Routing


@dataclass(frozen=True, slots=True, eq=False)
class Egress:
    """One listener towards the mesh and what is behind it."""

    listener: IstioEgressListener | None
    """None stands for the implicit one that lets everything through."""
    services: tuple[Service, ...]
    routings: tuple[Routing, ...]

    @property
    def port(self) -> int | None:
        """The port it is for; None means every port of its services."""
        if self.listener is None or self.listener.port is None:
            return None
        return self.listener.port.number


@dataclass(frozen=True, eq=False)
class Scope:
    """Everything that the sidecars of a namespace which share a Sidecar resource can reach.

    A mesh makes each scope once, so scopes are compared by identity: a cheap part of cache keys.
    """

    namespace: str
    sidecar: Resource[Sidecar] | None
    egress: tuple[Egress, ...]
    services: tuple[Service, ...]
    """Of all egress listeners, and those that imported routes lead to; oldest first; of several with one host, one."""

    def egress_for(self, port: int) -> Egress | None:
        """The listener that answers for a port: one that names it, else the catch-all; 0 asks for the catch-all."""
        named = next((egress for egress in self.egress if port and egress.port == port), None)
        return named or next((egress for egress in self.egress if egress.port is None), None)

    @cached_property
    def _by_host(self) -> Mapping[str, Service]:
        return {service.hostname: service for service in self.services}

    def service(self, hostname: str) -> Service | None:
        """The service of a host that is in scope."""
        return self._by_host.get(hostname)


def choose_sidecar(
    sidecars: Iterable[Resource[Sidecar]], namespace: str, client: Labels, root: str
) -> Resource[Sidecar] | None:
    """The Sidecar of a workload: with a selector that fits, else the namespace's, else the root namespace's."""
    own = default = inherited = None
    for sidecar in sidecars:
        selector = sidecar.spec.workload_selector
        if sidecar.metadata.namespace == namespace:
            if selector is not None and selector.labels:
                if own is None and labels(selector.labels) <= client:
                    own = sidecar
            else:
                default = default or sidecar
        elif sidecar.metadata.namespace == root and (selector is None or not selector.labels):
            inherited = inherited or sidecar
    return own or default or inherited


def scope_of(
    namespace: str, sidecar: Resource[Sidecar] | None, services: Sequence[Service], routings: Sequence[Routing]
) -> Scope:
    """The scope of a namespace under a Sidecar resource; None stands for "everything that is exported here"."""
    seen_services = [service for service in services if visible(service.export_to, namespace)]
    seen_routings = [r for r in routings if MESH in r.gateways and visible(r.export_to, namespace)]
    if sidecar is None or not sidecar.spec.egress:
        chosen = _one_per_host(seen_services, namespace)
        egress: tuple[Egress, ...] = (Egress(None, chosen, tuple(seen_routings)),)
    else:
        egress = tuple(_egress(entry, namespace, seen_services, seen_routings) for entry in sidecar.spec.egress)
    everything = {service.hostname: service for entry in reversed(egress) for service in entry.services}
    merged = _merge_ports(everything, egress)
    targets = {host for entry in egress for routing in entry.routings for host in routing.destinations()}
    # Destinations of imported routes need clusters, but cannot be addressed: they are behind no egress listener.
    merged += _one_per_host((s for s in seen_services if s.hostname in targets - everything.keys()), namespace)
    return Scope(namespace, sidecar, egress, tuple(sorted(merged, key=lambda service: service.age)))


def _egress(
    entry: IstioEgressListener, namespace: str, services: Sequence[Service], routings: Sequence[Routing]
) -> Egress:
    wanted = [_scoped_host(text, namespace) for text in entry.hosts]
    chosen_routings = tuple(
        routing for routing in routings if any(_wants(wanted, routing.namespace, host) for host in routing.hosts)
    )
    chosen = [s for s in services if _wants(wanted, s.namespace, s.hostname)]
    unique = _one_per_host(chosen, namespace)
    proxied = entry.port is not None and protocol.parse(entry.port.protocol) is Protocol.HTTP_PROXY
    if entry.port is not None and entry.port.number and not proxied:
        unique = tuple(
            replace(service, ports=(port,))
            for service in unique
            if (port := service.port(entry.port.number)) is not None
        )
    return Egress(entry, unique, chosen_routings)


def _scoped_host(text: str, namespace: str) -> tuple[str, str]:
    scope, _, host = text.rpartition("/")
    return (namespace if scope == "." else scope or "*", host.lower())


def _wants(wanted: Iterable[tuple[str, str]], namespace: str, host: str) -> bool:
    return any(scope in ("*", namespace) and hosts.intersection(pattern, host) is not None for scope, pattern in wanted)


def _one_per_host(services: Iterable[Service], namespace: str) -> tuple[Service, ...]:
    """Of several services with one host: that of the own namespace, then Kubernetes', then the oldest."""
    best: dict[str, Service] = {}
    for service in services:
        known = best.get(service.hostname)
        if known is None or _rank(service, namespace) < _rank(known, namespace):
            best[service.hostname] = service
    return tuple(sorted(best.values(), key=lambda service: service.age))


def _rank(service: Service, namespace: str) -> tuple[bool, bool, tuple[float, str, str]]:
    return (service.namespace != namespace, not service.kubernetes, service.age)


def _merge_ports(services: dict[str, Service], egress: Sequence[Egress]) -> list[Service]:
    """Services with all the ports that any listener lets through."""
    ports: dict[str, dict[int, Port]] = {}
    for entry in egress:
        for service in entry.services:
            known = ports.setdefault(service.hostname, {})
            for port in service.ports:
                known.setdefault(port.number, port)
    return [
        service if len(service.ports) == len(ports[host]) else replace(service, ports=tuple(ports[host].values()))
        for host, service in services.items()
    ]
