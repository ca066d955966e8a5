"""Services and endpoints as the mesh sees them, whatever registry they came from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from mizzen.pilot.base.labels import NONE, Labels
from mizzen.pilot.base.protocol import Protocol


class Resolution(StrEnum):
    """How a proxy finds the endpoints of a service."""

    STATIC = "STATIC"
    """Known to the control plane: EDS."""
    DNS = "DNS"
    """Every address the endpoint names resolve to (STRICT_DNS)."""
    DNS_ROUND_ROBIN = "DNS_ROUND_ROBIN"
    """One address at a time (LOGICAL_DNS)."""
    PASSTHROUGH = "PASSTHROUGH"
    """The address the client connected to: ServiceEntry NONE and headless Kubernetes services (ORIGINAL_DST)."""
    DYNAMIC_DNS = "DYNAMIC_DNS"
    """The request's host is resolved when it arrives."""


class ServiceKey(NamedTuple):
    """Identity of a service; two namespaces may declare the same host."""

    hostname: str
    namespace: str


@dataclass(frozen=True, slots=True)
class Port:
    """A service port."""

    number: int
    name: str
    protocol: Protocol
    target_port: int | str = 0
    """Number or container port name; 0 means the same as `number`."""


@dataclass(frozen=True, slots=True)
class Service:
    """A name with ports that clients call."""

    hostname: str
    name: str
    """The resource's name; for a ServiceEntry the host."""
    namespace: str
    ports: tuple[Port, ...]
    addresses: tuple[str, ...] = ()
    """Virtual IPs or CIDR ranges; empty means none."""
    resolution: Resolution = Resolution.STATIC
    headless: bool = False
    external: bool = False
    """MESH_EXTERNAL: no identity to expect."""
    kubernetes: bool = True
    """False for hosts of ServiceEntries."""
    external_name: str = ""
    """The target of an ExternalName service."""
    export_to: frozenset[str] = frozenset({"*"})
    """Namespaces that see it; `*` all, `~` none; `.` is already resolved to the own namespace."""
    selector: Labels = NONE
    labels: Labels = NONE
    publish_not_ready: bool = False
    subject_alt_names: tuple[str, ...] = ()
    created: float = 0.0
    """Unix time; 0 when unknown."""
    origin: str = ""
    """The resource it came from: "Service default/reviews"."""

    @property
    def key(self) -> ServiceKey:
        return ServiceKey(self.hostname, self.namespace)

    @property
    def age(self) -> tuple[float, str, str]:
        """Sorts the oldest first: creation time, then name, then namespace."""
        return (self.created, self.name, self.namespace)

    def port(self, number: int) -> Port | None:
        """The port with this number."""
        return next((port for port in self.ports if port.number == number), None)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One address that answers on one port of a service."""

    address: str
    """IP, host name (DNS resolutions) or path of a Unix socket."""
    port: int
    service_port: str
    """Name of the service port it stands for."""
    labels: Labels = NONE
    locality: str = ""
    """region/zone/subzone."""
    weight: int = 1
    healthy: bool = True
    workload: str = ""
    namespace: str = ""
    network: str = ""
    service_account: str = ""


def by_host(services: Iterable[Service]) -> Mapping[str, tuple[Service, ...]]:
    """Services of a host name, in their order."""
    found: dict[str, list[Service]] = {}
    for service in services:
        found.setdefault(service.hostname, []).append(service)
    return {host: tuple(named) for host, named in found.items()}


def by_namespace(services: Iterable[Service]) -> Mapping[str, tuple[Service, ...]]:
    """Services of a namespace, in their order."""
    found: dict[str, list[Service]] = {}
    for service in services:
        found.setdefault(service.namespace, []).append(service)
    return {namespace: tuple(those) for namespace, those in found.items()}
