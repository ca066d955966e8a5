"""The immutable mesh and its indexes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import MappingProxyType

from mizzen.api.gateway import Gateway
from mizzen.api.problem import Problem
from mizzen.api.resource import Resource, ResourceKey
from mizzen.api.security import AuthorizationPolicy, RequestAuthentication
from mizzen.api.sidecar import Sidecar
from mizzen.pilot.base.keysource import KeySource
from mizzen.pilot.base.labels import NONE, Labels
from mizzen.pilot.base.meshconfig import MeshConfig
from mizzen.pilot.snapshot.destinationrule import Rule, RuleIndex
from mizzen.pilot.snapshot.gatewayapi.translate import Translation
from mizzen.pilot.snapshot.keysources import sources_of
from mizzen.pilot.snapshot.peerauth import PeerAuthentications
from mizzen.pilot.snapshot.policy import Policy
from mizzen.pilot.snapshot.scope import Scope, choose_sidecar, scope_of
from mizzen.pilot.snapshot.service import Endpoint, Service, ServiceKey, by_host
from mizzen.pilot.snapshot.staging import Place, Steps, begun
from mizzen.pilot.snapshot.virtualservice import Routing


@dataclass(frozen=True)
class Mesh:
    """Everything that generation reads, at one instant; never changed, only replaced.

    The indexes are computed when first asked for and kept.
    """

    version: str = ""
    settings: MeshConfig = field(default_factory=MeshConfig)
    services: tuple[Service, ...] = ()
    """Oldest first."""
    endpoints: Mapping[ServiceKey, tuple[Endpoint, ...]] = field(default_factory=dict)
    routings: tuple[Routing, ...] = ()
    """VirtualServices, oldest first, delegates merged in; then those of the Gateway API."""
    rules: RuleIndex = field(default_factory=RuleIndex)
    gateways: tuple[Resource[Gateway], ...] = ()
    """Oldest first."""
    sidecars: tuple[Resource[Sidecar], ...] = ()
    """Oldest first."""
    translation: Translation = field(default_factory=Translation)
    """What the Gateway API's objects mean; `routings` and `gateways` end with its own."""
    policy: Policy = field(default_factory=Policy)
    peers: PeerAuthentications = field(default_factory=PeerAuthentications)
    staging: Steps = field(default_factory=dict)
    """The ports that are on their way to what `peers` say."""
    authorization: tuple[Resource[AuthorizationPolicy], ...] = ()
    """Oldest first."""
    authentication: tuple[Resource[RequestAuthentication], ...] = ()
    """Oldest first."""
    keys: Mapping[KeySource, str] = field(default_factory=dict)
    """What is known of the keys that it names: JSON Web Key Sets."""
    resources: Mapping[ResourceKey, Resource] = field(default_factory=dict)
    """Configuration and registry as they came in."""
    problems: tuple[Problem, ...] = ()
    _scopes: dict[tuple[str, ResourceKey | None], Scope] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    @cached_property
    def by_key(self) -> Mapping[ServiceKey, Service]:
        """Services by host and namespace."""
        return {service.key: service for service in self.services}

    @cached_property
    def by_host(self) -> Mapping[str, tuple[Service, ...]]:
        """Services of a host name, oldest first."""
        return by_host(self.services)

    @cached_property
    def by_address(self) -> Mapping[str, tuple[tuple[ServiceKey, Endpoint], ...]]:
        """What answers at an address."""
        found: dict[str, list[tuple[ServiceKey, Endpoint]]] = {}
        for key, endpoints in self.endpoints.items():
            for endpoint in endpoints:
                found.setdefault(endpoint.address, []).append((key, endpoint))
        return {address: tuple(entries) for address, entries in found.items()}

    def endpoints_of(self, service: Service, port_name: str, subset: Labels = NONE) -> tuple[Endpoint, ...]:
        """The endpoints that stand for one port of a service and carry the labels of a subset."""
        everything = self.endpoints.get(service.key, ())
        return tuple(e for e in everything if e.service_port == port_name and subset <= e.labels)

    def scope(self, namespace: str, labels: Labels) -> Scope:
        """What a sidecar of this namespace with these labels can reach."""
        return self._scope(namespace, choose_sidecar(self.sidecars, namespace, labels, self.settings.root_namespace))

    def _scope(self, namespace: str, sidecar: Resource[Sidecar] | None) -> Scope:
        key = (namespace, sidecar.key if sidecar is not None else None)
        found = self._scopes.get(key)
        if found is None:
            found = self._scopes[key] = scope_of(namespace, sidecar, self.services, self.routings)
        return found

    def open_scope(self, namespace: str) -> Scope:
        """What a gateway of this namespace can reach: Sidecar resources do not narrow it."""
        return self._scope(namespace, None)

    @cached_property
    def key_sources(self) -> Mapping[KeySource, float]:
        """Where the keys are that it names but does not state, with seconds to wait for an answer."""
        return sources_of(self.authentication)

    @cached_property
    def label_keys(self) -> frozenset[str]:
        """The labels of clients that any route or rule asks for."""
        keys: set[str] = set()
        for routing in self.routings:
            keys |= routing.label_keys()
        for rules in self.rules.by_namespace.values():
            for rule in rules:
                keys.update(key for key, _ in rule.selector)
        return frozenset(keys)

    def rule(self, service: Service, namespace: str, labels: Labels) -> Rule | None:
        """The DestinationRule that a client with this namespace and these labels uses for a service."""
        return self.rules.lookup(service.hostname, service.namespace, namespace, labels)

    def with_endpoints(
        self,
        changed: Mapping[ServiceKey, Iterable[Endpoint]],
        version: str,
        resources: Mapping[ResourceKey, Resource] | None = None,
    ) -> Mesh:
        """The same mesh in which only the endpoints of some services differ: the fast path of EDS.

        `resources` are what they came from, when they came from resources.
        """
        merged = dict(self.endpoints) | {key: tuple(endpoints) for key, endpoints in changed.items()}
        known = self.resources if resources is None else resources
        mesh = replace(self, version=version, endpoints=MappingProxyType(merged), resources=known)
        if self.staging:
            mesh = replace(mesh, staging=begun(self, mesh))
        mesh._scopes.update(self._scopes)  # scopes do not depend on endpoints
        return mesh

    def with_staging(self, steps: Steps, version: str) -> Mesh:
        """The same mesh, in which ports are further on their way."""
        mesh = replace(self, version=version, staging=MappingProxyType(dict(steps)))
        mesh._scopes.update(self._scopes)
        return mesh

    def services_at(self, places: Iterable[Place]) -> frozenset[ServiceKey]:
        """The services that answer at any of these."""
        return frozenset(
            key
            for place in places
            for key, endpoint in self.by_address.get(place.address, ())
            if endpoint.port == place.port
        )
