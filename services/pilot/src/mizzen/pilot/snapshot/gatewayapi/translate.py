"""All of the Gateway API's objects to Gateways, routes, and what came of each object."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from mizzen.api import gateway as istio
from mizzen.api.gatewayapi import GROUP
from mizzen.api.gatewayapi.gateway import Gateway, GatewayClass
from mizzen.api.gatewayapi.reference import ParentReference, ReferenceGrant
from mizzen.api.kubernetes import Namespace
from mizzen.api.problem import Problem
from mizzen.api.resource import Resource, ResourceKey
from mizzen.pilot.base import host as hosts
from mizzen.pilot.base.condition import Condition
from mizzen.pilot.base.gatewaystate import (
    ACCEPTED,
    CONTROLLER,
    ListenerState,
    ParentState,
    State,
)
from mizzen.pilot.snapshot.gatewayapi.addresses import Exposure, exposure
from mizzen.pilot.snapshot.gatewayapi.backends import Backends
from mizzen.pilot.snapshot.gatewayapi.certificates import Certificates, certificates
from mizzen.pilot.snapshot.gatewayapi.grants import Grants
from mizzen.pilot.snapshot.gatewayapi.listeners import Namespaces, Place, Point, as_istio, places
from mizzen.pilot.snapshot.gatewayapi.rivals import settle
from mizzen.pilot.snapshot.gatewayapi.routes import (
    Entry,
    Route,
    attach,
    entries,
    refusal,
    route_of,
)
from mizzen.pilot.snapshot.select import EVERYWHERE, age, of_kind
from mizzen.pilot.snapshot.service import Service, ServiceKey
from mizzen.pilot.snapshot.virtualservice import MESH, Routing


@dataclass(frozen=True)
class Translation:
    """What the Gateway API's objects mean to the mesh."""

    gateways: tuple[Resource[istio.Gateway], ...] = ()
    routings: tuple[Routing, ...] = ()
    states: Mapping[ResourceKey, State] = field(default_factory=dict)
    classes: frozenset[str] = frozenset()
    """Names of GatewayClasses that are ours."""

    def problems(self, resources: Mapping[ResourceKey, Resource]) -> Iterator[Problem]:
        """What does not take effect as written, as warnings: everything else does."""
        for key, state in self.states.items():
            for path, condition in state.all_conditions():
                if not condition.is_good and condition.message:
                    message = f"{condition.type} is {condition.status}: {condition.reason}: {condition.message}"
                    yield Problem(resources[key].source, str(key), path, message, "warning")


IMPLICIT_CLASSES = {"istio"}
"""Classes that need no object, as Istio makes it itself; where there is one, it says whose they are."""


class _Mesh(NamedTuple):
    """Routes for a Service, seen by one namespace or by all."""

    hostname: str
    seen_by: str


def translate(
    resources: Sequence[Resource], services: Mapping[ServiceKey, Service], suffix: str, previous: Translation
) -> Translation:
    """The translation of these resources; routings that are as they were are those of `previous`."""
    ours = [resource for resource in resources if resource.group == GROUP]
    if not ours:
        return Translation()
    grants = Grants(tuple(of_kind(ours, ReferenceGrant)))
    made = _Making(Backends(services, grants, suffix), _labels(resources), exposure(resources, suffix))
    made.take_gateways(ours, certificates(resources, grants))
    for route in sorted(filter(None, map(route_of, ours)), key=lambda route: route.age):
        made.take_route(route)
    known = {routing: routing for routing in previous.routings}
    routings = tuple(known.get(routing, routing) for routing in made.routings())
    return Translation(made.gateways(), routings, made.all_states(), frozenset(made.classes))


def _labels(resources: Sequence[Resource]) -> Namespaces:
    return {resource.metadata.name: resource.metadata.labels for resource in of_kind(resources, Namespace)}


@dataclass
class _Making:
    """A translation in the making."""

    backends: Backends
    namespaces: Namespaces
    exposure: Exposure
    states: dict[ResourceKey, State] = field(default_factory=dict)
    classes: set[str] = field(default_factory=set)
    places: dict[tuple[str, str], tuple[Place, ...]] = field(default_factory=dict)
    """By namespace and name of the Gateway, oldest first."""
    served: list[Place] = field(default_factory=list)
    """Oldest first."""
    hosts_of: dict[Point, set[str]] = field(default_factory=dict)
    """Of listeners that are served."""
    attached: dict[str, int] = field(default_factory=dict)
    """Numbers of routes, by the listener's reference."""
    at_gateways: dict[tuple[Point, str], list[tuple[Place, Entry]]] = field(default_factory=dict)
    """By point and host."""
    in_mesh: dict[_Mesh, list[Entry]] = field(default_factory=dict)

    def take_gateways(self, resources: list[Resource], shown: Certificates) -> None:
        """Take over classes of ours, and their Gateways."""
        classes = list(of_kind(resources, GatewayClass))
        ours = [item for item in classes if item.spec.controller_name == CONTROLLER]
        self.states |= {item.key: State((ACCEPTED,)) for item in ours}
        self.classes = IMPLICIT_CLASSES - {item.metadata.name for item in classes}
        self.classes |= {item.metadata.name for item in ours}
        gateways = [item for item in of_kind(resources, Gateway) if item.spec.gateway_class_name in self.classes]
        self.places = settle({(item.metadata.namespace, item.metadata.name): places(item, shown) for item in gateways})
        listed = [place for places_ in self.places.values() for place in places_ if place.is_served]
        self.served = sorted(listed, key=lambda place: (age(place.gateway), place.name))
        for place in self.served:
            self.hosts_of.setdefault(place.point, set()).add(place.hostname)

    def gateways(self) -> tuple[Resource[istio.Gateway], ...]:
        """One for each listener that is served."""
        return tuple(as_istio(place) for place in self.served)

    def take_route(self, route: Route) -> None:
        """Attach a route to all of its parents that are ours."""
        found = []
        for parent in route.parents:
            conditions = None
            if parent.is_gateway:
                conditions = self._at_gateway(route, parent)
            elif parent.is_service:
                conditions = self._at_service(route, parent)
            if conditions is not None:
                found.append(ParentState(parent, conditions))
        if found:
            self.states[route.resource.key] = State(parents=tuple(found))

    def _at_gateway(self, route: Route, parent: ParentReference) -> tuple[Condition, ...] | None:
        known = self.places.get((parent.namespace or route.namespace, parent.name))
        if known is None:
            return None
        refused = refusal(route)
        where, accepted = attach(route, parent, known, self.namespaces)
        ports: set[int | None] = {place.listener.port for place, _ in where}
        made = {port: entries(route, self.backends, port, None) for port in ports or {None}}
        resolved = next(iter(made.values()))[1]
        if refused is not None or not accepted.status:
            return (refused or accepted, resolved)
        for place, shared in where:
            self.attached[place.reference] = self.attached.get(place.reference, 0) + 1
            for host in shared:
                if place.is_served and self._is_closest(place, host):
                    listed = self.at_gateways.setdefault((place.point, host), [])
                    listed += [(place, entry) for entry in made[place.listener.port][0]]
        return (accepted, resolved)

    def _is_closest(self, place: Place, host: str) -> bool:
        """Whether no other listener of its point has a host that is more specific and covers this one."""
        return hosts.most_specific(self.hosts_of[place.point], host) == place.hostname

    def _at_service(self, route: Route, parent: ParentReference) -> tuple[Condition, ...]:
        namespace = parent.namespace or route.namespace
        made, resolved = entries(route, self.backends, None, parent.port)
        service = self.backends.service(parent.name, namespace)
        if service is None or parent.port not in (None, *(port.number for port in service.ports)):
            message = f"Service {namespace}/{parent.name} does not exist, or has no such port"
            return (Condition("Accepted", False, "NoMatchingParent", message), resolved)
        refused = refusal(route)
        if refused is not None:
            return (refused, resolved)
        seen_by = "*" if namespace == route.namespace else route.namespace
        self.in_mesh.setdefault(_Mesh(service.hostname, seen_by), []).extend(made)
        return (ACCEPTED, resolved)

    def routings(self) -> list[Routing]:
        """At gateways and in the mesh; of the latter, those for one namespace go before those for all."""
        found = []
        for (_, host), listed in sorted(self.at_gateways.items(), key=lambda item: item[0]):
            references = frozenset(place.reference for place, _ in listed)
            found.append(_routing((host,), references, EVERYWHERE, [entry for _, entry in listed]))
        taken = set(self.at_gateways)
        for place in self.served:
            if place.hostname != "*" and (place.point, place.hostname) not in taken:
                # Its requests are nobody's else, though a listener with a wider host may have routes.
                gateway = frozenset({place.reference})
                found.append(Routing((place.gateway,), (place.hostname,), gateway, EVERYWHERE, (), (), ()))
        in_order = sorted(self.in_mesh, key=lambda key: (key.seen_by == "*", key))
        mesh = frozenset({MESH})
        return found + [_routing((k.hostname,), mesh, frozenset({k.seen_by}), self.in_mesh[k]) for k in in_order]

    def all_states(self) -> Mapping[ResourceKey, State]:
        """With those of Gateways, which count their routes."""
        return self.states | {listed[0].gateway.key: self._gateway_state(listed) for listed in self.places.values()}

    def _gateway_state(self, listed: tuple[Place, ...]) -> State:
        bad = [place.listener.name for place in listed if not place.is_served]
        accepted = ACCEPTED
        programmed = self.exposure.programmed({place.listener.port for place in listed if place.is_served})
        if bad:
            accepted = Condition(
                "Accepted", len(bad) < len(listed), "ListenersNotValid", f"not served: {', '.join(bad)}"
            )
        if len(bad) == len(listed):
            programmed = Condition("Programmed", False, "Invalid", "no listener is served")
        listeners = tuple(
            ListenerState(place.listener.name, place.kinds, self.attached.get(place.reference, 0), place.conditions)
            for place in listed
        )
        return State((accepted, programmed), self.exposure.addresses, listeners)


def _routing(names: tuple[str, ...], gateways: frozenset[str], seen_by: frozenset[str], found: list[Entry]) -> Routing:
    ordered = sorted(found, key=lambda entry: entry[:3])
    parts = tuple(dict.fromkeys(entry.resource for entry in ordered))
    origins = tuple((e.resource.kind, e.resource.metadata.namespace, e.resource.metadata.name) for e in ordered)
    return Routing(parts, names, gateways, seen_by, tuple(entry.route for entry in ordered), (), (), origins)
