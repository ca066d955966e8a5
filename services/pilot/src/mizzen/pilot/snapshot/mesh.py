"""The immutable mesh and its indexes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import MappingProxyType

from mizzen.api.problem import Problem
from mizzen.api.resource import Resource, ResourceKey
from mizzen.pilot.base.meshconfig import MeshConfig
from mizzen.pilot.snapshot.service import Endpoint, Service, ServiceKey


@dataclass(frozen=True)
class Mesh:
    """Everything that generation reads, at one instant; never changed, only replaced."""

    version: str = ""
    settings: MeshConfig = field(default_factory=MeshConfig)
    services: tuple[Service, ...] = ()
    """Oldest first."""
    endpoints: Mapping[ServiceKey, tuple[Endpoint, ...]] = MappingProxyType({})
    resources: Mapping[ResourceKey, Resource] = MappingProxyType({})
    """The configuration as applied, for debugging and comparison."""
    problems: tuple[Problem, ...] = ()

    @cached_property
    def by_host(self) -> Mapping[str, tuple[Service, ...]]:
        """Services of a host name, oldest first."""
        found: dict[str, list[Service]] = {}
        for service in self.services:
            found.setdefault(service.hostname, []).append(service)
        return {host: tuple(services) for host, services in found.items()}

    def endpoints_of(self, service: Service, port_name: str) -> tuple[Endpoint, ...]:
        """The endpoints that stand for one port of a service."""
        return tuple(e for e in self.endpoints.get(service.key, ()) if e.service_port == port_name)

    def with_endpoints(self, changed: Mapping[ServiceKey, Iterable[Endpoint]], version: str) -> Mesh:
        """The same mesh in which only the endpoints of some services differ: the fast path of EDS."""
        merged = dict(self.endpoints) | {key: tuple(endpoints) for key, endpoints in changed.items()}
        return replace(self, version=version, endpoints=MappingProxyType(merged))
