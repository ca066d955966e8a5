"""VirtualServices ready to use: hosts and gateways resolved, delegates merged."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

from mizzen.api import virtualservice as vs
from mizzen.api.resource import Resource
from mizzen.pilot.base import host as hosts
from mizzen.pilot.snapshot.select import age, exported

MESH = "mesh"
"""The gateway that stands for all sidecars."""

RouteT = TypeVar("RouteT", vs.HTTPRoute, vs.TLSRoute, vs.TCPRoute)


@dataclass(frozen=True, slots=True)
class Routing:
    """A VirtualService in which names mean the same everywhere: hosts are full, gateways have their namespace.

    Routes of the Gateway API that meet at one host are one of these too.
    """

    parts: tuple[Resource, ...]
    """The VirtualService and the delegates merged into it."""
    hosts: tuple[str, ...]
    """In lower case."""
    gateways: frozenset[str]
    """`mesh` or `<namespace>/<name>`."""
    export_to: frozenset[str]
    http: tuple[vs.HTTPRoute, ...]
    tls: tuple[vs.TLSRoute, ...]
    tcp: tuple[vs.TCPRoute, ...]
    origins: tuple[tuple[str, str, str], ...] = ()
    """(kind, namespace, name) of each of `http`, where they are not all of one object."""

    def __hash__(self) -> int:
        return hash(self.parts)

    @property
    def name(self) -> str:
        return self.parts[0].metadata.name

    @property
    def namespace(self) -> str:
        return self.parts[0].metadata.namespace

    @property
    def origin(self) -> tuple[str, str, str]:
        return (self.parts[0].kind, self.namespace, self.name)

    def origin_of(self, index: int) -> tuple[str, str, str]:
        """The object that one of `http` is from."""
        return self.origins[index] if self.origins else self.origin

    @property
    def age(self) -> tuple[float, str, str]:
        return age(self.parts[0])

    def label_keys(self) -> set[str]:
        """The labels of clients that its conditions ask for."""
        keys = {key for route in self.http for match in route.match for key in match.source_labels}
        keys |= {key for route in self.tls for match in route.match for key in match.source_labels}
        return keys | {key for route in self.tcp for match in route.match for key in match.source_labels}

    def destinations(self) -> Iterator[str]:
        """The hosts of all services that routes point at."""
        for route in self.http:
            yield from (entry.destination.host for entry in route.route)
            yield from (entry.destination.host for entry in route.mirrors)
            if route.mirror is not None:
                yield route.mirror.host
        for entries in (*(route.route for route in self.tls), *(route.route for route in self.tcp)):
            yield from (entry.destination.host for entry in entries)


def gateway_reference(reference: str, namespace: str) -> str:
    """`mesh` or `<namespace>/<name>` of what a VirtualService lists under gateways."""
    if reference == MESH:
        return MESH
    scope, found, name = reference.partition("/")
    if not found:
        return f"{namespace}/{reference}"
    return f"{namespace if scope == '.' else scope}/{name}"


def routing(
    root: Resource[vs.VirtualService], http: tuple[vs.HTTPRoute, ...], delegates: tuple[Resource, ...], suffix: str
) -> Routing:
    """Resolve a VirtualService; `http` are its routes, already resolved and with delegates merged."""
    namespace, spec = root.metadata.namespace, root.spec
    gateways = frozenset(gateway_reference(reference, namespace) for reference in spec.gateways or (MESH,))
    # At gateways alone a name without a dot is what clients send, not a service.
    expand = MESH in gateways
    full = (hosts.resolve(host, namespace, suffix) if expand else host.lower() for host in spec.hosts)
    return Routing(
        parts=(root, *delegates),
        hosts=tuple(dict.fromkeys(full)),
        gateways=gateways,
        export_to=exported(spec.export_to, namespace),
        http=http,
        tls=tuple(resolved(route, namespace, suffix) for route in spec.tls),
        tcp=tuple(resolved(route, namespace, suffix) for route in spec.tcp),
    )


def resolved(route: RouteT, namespace: str, suffix: str) -> RouteT:
    """The route with full names of destinations and gateways, as they read in `namespace`."""
    changes: dict[str, Any] = {
        "match": tuple(
            match.model_copy(update={"gateways": tuple(gateway_reference(name, namespace) for name in match.gateways)})
            for match in route.match
        ),
        "route": tuple(_with_destination(entry, namespace, suffix) for entry in route.route),
    }
    if isinstance(route, vs.HTTPRoute):
        changes["mirrors"] = tuple(_with_destination(entry, namespace, suffix) for entry in route.mirrors)
        if route.mirror is not None:
            changes["mirror"] = _full(route.mirror, namespace, suffix)
    return route.model_copy(update=changes)


def _with_destination(entry: Any, namespace: str, suffix: str) -> Any:
    return entry.model_copy(update={"destination": _full(entry.destination, namespace, suffix)})


def _full(destination: vs.Destination, namespace: str, suffix: str) -> vs.Destination:
    return destination.model_copy(update={"host": hosts.resolve(destination.host, namespace, suffix)})
