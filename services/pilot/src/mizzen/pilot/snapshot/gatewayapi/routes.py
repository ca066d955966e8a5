"""Routes at their parents: what attaches where, and what is served there in which order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from mizzen.api import virtualservice as vs
from mizzen.api.gatewayapi.filters import GRPCRouteFilter, HTTPRouteFilter
from mizzen.api.gatewayapi.grpcroute import GRPCRoute, GRPCRouteRule
from mizzen.api.gatewayapi.httproute import HTTPBackendRef, HTTPRoute, HTTPRouteMatch, HTTPRouteRule
from mizzen.api.gatewayapi.reference import ParentReference
from mizzen.api.resource import Resource
from mizzen.pilot.base import host as hosts
from mizzen.pilot.base.condition import Condition
from mizzen.pilot.base.gatewaystate import ACCEPTED, RESOLVED
from mizzen.pilot.snapshot.gatewayapi.actions import Maker, answers, unsupported
from mizzen.pilot.snapshot.gatewayapi.backends import Backends
from mizzen.pilot.snapshot.gatewayapi.listeners import Namespaces, Place
from mizzen.pilot.snapshot.gatewayapi.matches import Precedence, grpc_path, paths, request
from mizzen.pilot.snapshot.select import created

Age = tuple[float, str, str]


class Entry(NamedTuple):
    """One Envoy route to be, of a route object; sorts what goes first to the front."""

    precedence: Precedence
    age: Age
    number: int
    route: vs.HTTPRoute
    resource: Resource


@dataclass(frozen=True)
class Route:
    """An HTTPRoute, or a GRPCRoute as one."""

    resource: Resource
    parents: tuple[ParentReference, ...]
    hostnames: tuple[str, ...]
    rules: tuple[HTTPRouteRule, ...]

    @property
    def namespace(self) -> str:
        return self.resource.metadata.namespace

    @property
    def age(self) -> Age:
        """The oldest goes first, then the first by namespace and name."""
        return (created(self.resource), self.namespace, self.resource.metadata.name)


def route_of(resource: Resource) -> Route | None:
    """A route in one form; None for what is none."""
    spec = resource.spec
    if isinstance(spec, HTTPRoute):
        return Route(resource, spec.parent_refs, tuple(map(str.lower, spec.hostnames)), spec.rules)
    if isinstance(spec, GRPCRoute):
        rules = tuple(map(_http_rule, spec.rules or (GRPCRouteRule(),)))
        return Route(resource, spec.parent_refs, tuple(map(str.lower, spec.hostnames)), rules)
    return None


def _http_rule(rule: GRPCRouteRule) -> HTTPRouteRule:
    return HTTPRouteRule(
        name=rule.name,
        matches=tuple(HTTPRouteMatch(path=grpc_path(match.method), headers=match.headers) for match in rule.matches),
        filters=tuple(map(_http_filter, rule.filters)),
        backend_refs=tuple(
            HTTPBackendRef(
                group=backend.group,
                kind=backend.kind,
                namespace=backend.namespace,
                name=backend.name,
                port=backend.port,
                weight=backend.weight,
                filters=tuple(map(_http_filter, backend.filters)),
            )
            for backend in rule.backend_refs
        ),
    )


def _http_filter(step: GRPCRouteFilter) -> HTTPRouteFilter:
    return HTTPRouteFilter(
        type=step.type,
        request_header_modifier=step.request_header_modifier,
        response_header_modifier=step.response_header_modifier,
        request_mirror=step.request_mirror,
        extension_ref=step.extension_ref,
    )


def attach(route: Route, parent: ParentReference, places: Iterable[Place], namespaces: Namespaces) -> Attached:
    """Where a route is served at a Gateway of ours, on which hosts; or why it is not."""
    named = [
        place
        for place in places
        if parent.section_name in ("", place.listener.name) and parent.port in (None, place.listener.port)
    ]
    if not named:
        return Attached((), Condition("Accepted", False, "NoMatchingParent", "no listener is the one that is named"))
    allowed = [place for place in named if place.takes(route.resource.kind, route.namespace, namespaces)]
    if not allowed:
        message = "no listener takes routes of this kind and namespace"
        return Attached((), Condition("Accepted", False, "NotAllowedByListeners", message))
    shared = tuple((place, found) for place in allowed if (found := _shared(place.hostname, route.hostnames)))
    if not shared:
        message = f"none of {', '.join(route.hostnames)} is a host of a listener"
        return Attached((), Condition("Accepted", False, "NoMatchingListenerHostname", message))
    return Attached(shared, ACCEPTED)


class Attached(NamedTuple):
    """Listeners with the hosts that they share with a route."""

    places: tuple[tuple[Place, tuple[str, ...]], ...]
    accepted: Condition


def _shared(pattern: str, hostnames: tuple[str, ...]) -> tuple[str, ...]:
    found = (hosts.intersection(pattern, host) for host in hostnames or ("*",))
    return tuple(dict.fromkeys(host for host in found if host is not None))


def refusal(route: Route) -> Condition | None:
    """What no parent could serve."""
    return next((found for rule in route.rules if (found := unsupported(rule))), None)


def entries(route: Route, backends: Backends, port: int | None, only_port: int | None) -> tuple[list[Entry], Condition]:
    """What is served of a route on a listener's `port`, and whether all backends are there.

    `only_port` narrows it to one port of a Service of the mesh.
    """
    maker = Maker(backends, route.resource.kind, route.namespace)
    found = []
    for index, rule in enumerate(route.rules):
        fields = maker.fields(rule)
        fields["name"] = f"{route.namespace}/{route.resource.metadata.name}/{rule.name or index}"
        for precedence, http in _of_rule(rule, fields, port, only_port):
            found.append(Entry(precedence, route.age, index, http, route.resource))
    return found, maker.faults[0] if maker.faults else RESOLVED


def _of_rule(
    rule: HTTPRouteRule, fields: dict[str, Any], port: int | None, only_port: int | None
) -> Iterator[tuple[Precedence, vs.HTTPRoute]]:
    for match in rule.matches or (HTTPRouteMatch(),):
        for path in paths(match.path):
            wanted = request(match, path, only_port)
            yield Precedence.of(match), vs.HTTPRoute(match=(wanted,), **fields, **answers(rule, path, port))
