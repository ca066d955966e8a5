"""Where the proxies of our Gateways are reached: by the Services that select them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from mizzen.api.kubernetes import Service, ServiceStatus, ServiceType
from mizzen.api.resource import Resource
from mizzen.pilot.base.condition import Condition
from mizzen.pilot.base.gatewaystate import PROGRAMMED, Address
from mizzen.pilot.snapshot.gatewayapi.listeners import SELECTOR
from mizzen.pilot.snapshot.kubernetes import hostname
from mizzen.pilot.snapshot.select import of_kind

MAX_ADDRESSES = 16
"""As many as a Gateway's status can have."""


@dataclass(frozen=True, slots=True)
class Exposure:
    """What the Services of the gateway's proxies offer, by their hostnames; nothing is known where there is none."""

    services: tuple[str, ...] = ()
    addresses: tuple[Address, ...] = ()
    """Those from outside of the cluster, else the Services' own names."""
    pending: tuple[str, ...] = ()
    """Services whose load balancer has no address yet."""
    ports: frozenset[int] = frozenset()

    def programmed(self, ports: Collection[int]) -> Condition:
        """Whether listeners on these ports are reached."""
        if not self.services:
            return PROGRAMMED
        there = ", ".join(self.services)
        if missing := sorted(set(ports) - self.ports):
            listed = ", ".join(map(str, missing))
            return Condition("Programmed", False, "AddressNotUsable", f"port {listed} not found for hostname {there}")
        if self.pending:
            message = f"address pending for hostname {', '.join(self.pending)}"
            return Condition("Programmed", False, "AddressNotAssigned", message)
        return PROGRAMMED


def exposure(resources: Sequence[Resource], suffix: str) -> Exposure:
    """Of the proxies of all our Gateways."""
    found = sorted(filter(_selects_proxies, of_kind(resources, Service)), key=lambda service: service.key)
    names = {service.key: hostname(service.metadata.name, service.metadata.namespace, suffix) for service in found}
    outside = {service.key: tuple(_outside(service)) for service in found}
    pending = tuple(
        names[service.key]
        for service in found
        if service.spec.type is ServiceType.LOAD_BALANCER and not outside[service.key]
    )
    addresses = [address for listed in outside.values() for address in listed]
    if not addresses and not pending:
        addresses = [Address("Hostname", name) for name in names.values()]
    return Exposure(
        services=tuple(names.values()),
        addresses=tuple(dict.fromkeys(addresses))[:MAX_ADDRESSES],
        pending=pending,
        ports=frozenset(port.port for service in found for port in service.spec.ports),
    )


def _selects_proxies(service: Resource[Service]) -> bool:
    return SELECTOR.items() <= service.spec.selector.items()


def _outside(service: Resource[Service]) -> Iterator[Address]:
    if service.spec.type is ServiceType.LOAD_BALANCER and isinstance(service.status, ServiceStatus):
        for entry in service.status.load_balancer.ingress:
            if entry.ip or entry.hostname:
                yield Address("IPAddress", entry.ip) if entry.ip else Address("Hostname", entry.hostname)
    yield from (Address("IPAddress", address) for address in service.spec.external_ips)
