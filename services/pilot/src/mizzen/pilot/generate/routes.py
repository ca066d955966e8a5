"""Route configurations of sidecars."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from envoy.config.route.v3 import route_components_pb2, route_pb2

from mizzen.pilot.base import host as hosts
from mizzen.pilot.base.labels import Labels
from mizzen.pilot.generate import names
from mizzen.pilot.generate.domains import domains, with_ports
from mizzen.pilot.generate.encoded import Encoded, encode
from mizzen.pilot.generate.failure import origin_text, routes_or_refusal
from mizzen.pilot.generate.httproute import RouteContext, default_route, routes
from mizzen.pilot.generate.match import everything
from mizzen.pilot.generate.mixer.routes import describe_services
from mizzen.pilot.generate.mixer.use import RouteUse
from mizzen.pilot.generate.protos import boolean, duration, uint32
from mizzen.pilot.snapshot.destinationrule import RuleIndex
from mizzen.pilot.snapshot.scope import Egress, Scope
from mizzen.pilot.snapshot.service import Port, Service
from mizzen.pilot.snapshot.virtualservice import MESH, Routing

MAX_DIRECT_RESPONSE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class SidecarRouteInputs:
    """What decides a route configuration of a sidecar."""

    name: str
    """`<port>`, `<host>:<port>` or `http_proxy`."""
    scope: Scope
    rules: RuleIndex
    labels: Labels
    domain: str
    fallback: str
    """Cluster of requests for unknown hosts; empty refuses them."""
    mixer: RouteUse | None = None


@dataclass(frozen=True, slots=True)
class _Host:
    """A virtual host in the making."""

    name: str
    service: Service | None
    port: Port | None
    number: int
    routing: Routing | None


def sidecar_routes(inputs: SidecarRouteInputs) -> Encoded:
    """The configuration; empty for a name that stands for nothing, because Envoy waits for an answer."""
    message = configuration(inputs.name)
    proxied = inputs.name == names.HTTP_PROXY_ROUTE
    message.ignore_port_in_host_matching = not proxied
    only_host, number = _parse(inputs.name)
    egress = inputs.scope.egress_for(number) if number >= 0 else None
    if egress is None:
        return encode(inputs.name, message)
    if _is_http_proxy(egress):
        number, proxied = 0, True
        message.ignore_port_in_host_matching = False
    context = RouteContext(
        port=number,
        gateways=frozenset({MESH}),
        namespace=inputs.scope.namespace,
        labels=inputs.labels,
        scope=inputs.scope,
        rules=inputs.rules,
    )
    found = [host for host in _hosts(egress, number) if only_host in ("", host.name)]
    failures: list[str] = []
    made = _virtual_hosts(found, context, inputs, failures, proxied=proxied, sniffed=bool(only_host))
    message.virtual_hosts.extend(made)
    if not only_host:
        message.virtual_hosts.append(catch_all(inputs.fallback))
    describe_services(message, inputs.mixer, inputs.scope)
    return encode(inputs.name, message, "; ".join(failures))


def empty_routes(name: str) -> Encoded:
    """A configuration that answers every request with 404."""
    return encode(name, configuration(name))


def configuration(name: str) -> Any:
    """What all route configurations have in common."""
    return route_pb2.RouteConfiguration(
        name=name,
        validate_clusters=boolean(False),
        max_direct_response_body_size_bytes=uint32(MAX_DIRECT_RESPONSE),
    )


def catch_all(cluster: str) -> Any:
    """The virtual host of hosts that nobody declares."""
    if not cluster:
        refuse = route_components_pb2.Route(name="block_all", match=everything())
        refuse.direct_response.status = 502
        return route_components_pb2.VirtualHost(
            name="block_all", domains=["*"], routes=[refuse], include_request_attempt_count=True
        )
    allow = route_components_pb2.Route(name="allow_any", match=everything())
    allow.route.cluster = cluster
    allow.route.timeout.CopyFrom(duration(0))
    allow.route.max_grpc_timeout.CopyFrom(duration(0))
    return route_components_pb2.VirtualHost(
        name="allow_any", domains=["*"], routes=[allow], include_request_attempt_count=True
    )


def _parse(name: str) -> tuple[str, int]:
    """(host of a sniffed port, port); -1 for a name that means nothing."""
    if name == names.HTTP_PROXY_ROUTE:
        return "", 0
    if name.isdecimal():
        return "", int(name)
    return names.parse_sniffed_route(name) or ("", -1)


def _is_http_proxy(egress: Egress) -> bool:
    listener = egress.listener
    return listener is not None and listener.port is not None and listener.port.protocol.upper() == "HTTP_PROXY"


def _hosts(egress: Egress, number: int) -> list[_Host]:
    """Virtual hosts: those that VirtualServices claim, oldest first, then those of the other services."""
    pairs = [
        (service, port)
        for service in egress.services
        for port in service.ports
        if _speaks_http(port) and number in (0, port.number)
    ]
    owners = _owners(egress)
    by_host = {service.hostname: service for service in egress.services}
    claimed: list[tuple[tuple[float, str, str], _Host]] = []
    plain: list[_Host] = []
    for service, port in pairs:
        routing = owners.get(service.hostname)
        host = _Host(service.hostname, service, port, port.number, routing)
        if routing is not None and routing.http:
            claimed.append((routing.age, host))
        else:
            plain.append(host)
    for name, routing in _unregistered(egress, owners):
        covering = hosts.most_specific(by_host, name)
        if covering is not None and routing.http:
            matching = [(s, p) for s, p in pairs if s.hostname == covering]
            claimed += [(routing.age, _Host(name, s, p, p.number, routing)) for s, p in matching]
        elif routing.http and number in (0, 80):
            claimed.append((routing.age, _Host(name, None, None, 80, routing)))
    return [host for _, host in sorted(claimed, key=lambda entry: entry[0])] + plain


def _speaks_http(port: Port) -> bool:
    return port.protocol.is_http or port.protocol.value == "UnsupportedProtocol"


def routing_of(service: Service, egress: Egress) -> Routing | None:
    """The VirtualService with HTTP routes that a service belongs to, if any."""
    return _owners(egress).get(service.hostname)


def _owners(egress: Egress) -> dict[str, Routing]:
    """The VirtualService of each service: the oldest with its very host, else that with the closest wildcard."""
    by_pattern: dict[str, Routing] = {}
    for routing in egress.routings:
        if routing.http:
            for host in routing.hosts:
                by_pattern.setdefault(host, routing)
    wildcards = [host for host in by_pattern if hosts.is_wildcard(host)]
    found: dict[str, Routing] = {}
    for service in egress.services:
        exact = by_pattern.get(service.hostname)
        if exact is not None:
            found[service.hostname] = exact
            continue
        pattern = hosts.most_specific(wildcards, service.hostname)
        if pattern is not None:
            found[service.hostname] = by_pattern[pattern]
    return found


def _unregistered(egress: Egress, owners: dict[str, Routing]) -> Iterator[tuple[str, Routing]]:
    """Hosts of VirtualServices that are no service, nor a wildcard over services."""
    seen: set[str] = set(owners)
    services = [service.hostname for service in egress.services]
    for routing in egress.routings:
        for host in routing.hosts:
            over_services = hosts.is_wildcard(host) and any(hosts.covers(host, name) for name in services)
            if host not in seen and not over_services and host not in services:
                seen.add(host)
                yield host, routing


def _virtual_hosts(
    found: list[_Host],
    context: RouteContext,
    inputs: SidecarRouteInputs,
    failures: list[str],
    *,
    proxied: bool,
    sniffed: bool,
) -> list[Any]:
    taken: set[str] = set()
    known = {service.hostname for service in inputs.scope.services}
    messages = []
    for host in found:
        own = ["*"] if sniffed else list(_domains(host, inputs.domain, known, proxied=proxied))
        free = [name for name in own if name.lower() not in taken]
        if not free:
            continue
        entries = routes_or_refusal(partial(_routes, host, context), _origin(host), failures)
        if not entries:
            continue
        taken.update(name.lower() for name in free)
        messages.append(
            route_components_pb2.VirtualHost(
                name=f"{host.name}:{host.number}", domains=free, routes=entries, include_request_attempt_count=True
            )
        )
    return sorted(messages, key=lambda message: str(message.name))


def _domains(host: _Host, proxy_domain: str, known: set[str], *, proxied: bool) -> Iterator[str]:
    service = host.service
    addresses = service.addresses if service is not None and service.hostname == host.name else ()
    headless = service is not None and service.headless
    stated = [
        name for name in domains(host.name, addresses, headless, proxy_domain) if name == host.name or name not in known
    ]
    if not proxied:
        return iter(stated)
    if host.number == 80:
        return with_ports(stated, 80)
    return (f"{name}:{host.number}" for name in stated)


def _routes(host: _Host, context: RouteContext) -> list[Any]:
    if host.routing is not None:
        entries = routes(host.routing, context, host.number)
        if entries:
            return entries
    if host.service is None or host.service.hostname != host.name:
        return []
    return [default_route(host.service, host.number, context)]


def _origin(host: _Host) -> str:
    if host.routing is not None:
        return origin_text(host.routing.origin)
    return host.service.origin if host.service is not None else ""
