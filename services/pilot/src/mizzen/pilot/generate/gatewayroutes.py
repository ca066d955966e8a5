"""Route configurations of gateways."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

from envoy.config.route.v3 import route_components_pb2

from mizzen.pilot.base import host as hosts
from mizzen.pilot.base.labels import Labels
from mizzen.pilot.generate.encoded import Encoded, encode
from mizzen.pilot.generate.failure import origin_text, routes_or_refusal
from mizzen.pilot.generate.httproute import RouteContext, routes
from mizzen.pilot.generate.match import is_catch_all
from mizzen.pilot.generate.mixer.routes import describe_services
from mizzen.pilot.generate.mixer.use import RouteUse
from mizzen.pilot.generate.routes import configuration
from mizzen.pilot.snapshot.destinationrule import RuleIndex
from mizzen.pilot.snapshot.gateways import HttpServer
from mizzen.pilot.snapshot.scope import Scope
from mizzen.pilot.snapshot.select import visible
from mizzen.pilot.snapshot.virtualservice import Routing


@dataclass(frozen=True, slots=True)
class GatewayRouteInputs:
    """What decides the route configuration of a gateway's plain HTTP port."""

    name: str
    port: int
    servers: tuple[HttpServer, ...]
    routings: tuple[Routing, ...]
    """Of all namespaces, oldest first."""
    scope: Scope
    rules: RuleIndex
    labels: Labels
    mixer: RouteUse | None = None


def gateway_routes(inputs: GatewayRouteInputs) -> Encoded:
    """Routes of every VirtualService bound to a server of the port; without any, every request is answered 404."""
    by_domain: dict[str, list[Any]] = {}
    failures: list[str] = []
    redirected: set[str] = set()
    for server in inputs.servers:
        context = RouteContext(
            port=inputs.port,
            gateways=frozenset({server.gateway}),
            namespace=inputs.scope.namespace,
            labels=inputs.labels,
            scope=inputs.scope,
            rules=inputs.rules,
        )
        for routing in inputs.routings:
            if server.gateway not in routing.gateways or not visible(routing.export_to, inputs.scope.namespace):
                continue
            shared = _domains(server, routing)
            make = partial(routes, routing, context, server.port)
            entries = routes_or_refusal(make, origin_text(routing.origin), failures) if shared else []
            for domain in shared:
                known = by_domain.setdefault(domain, [])
                known.extend(entry for entry in entries if entry not in known)
                if server.https_redirect:
                    redirected.add(domain)
    message = configuration(inputs.name)
    message.ignore_port_in_host_matching = True
    for domain in sorted(by_domain):
        message.virtual_hosts.append(_virtual_host(domain, by_domain[domain], inputs.port, domain in redirected))
    if not any(host.routes or host.require_tls for host in message.virtual_hosts):
        del message.virtual_hosts[:]
        message.virtual_hosts.add(name=f"blackhole:{inputs.port}", domains=["*"])
    describe_services(message, inputs.mixer, inputs.scope)
    return encode(inputs.name, message, "; ".join(failures))


def _domains(server: HttpServer, routing: Routing) -> list[str]:
    """The hosts that server and VirtualService share, each in its more specific form."""
    found = []
    for namespace, pattern in server.hosts:
        if namespace not in ("*", routing.namespace):
            continue
        found += [shared for host in routing.hosts if (shared := hosts.intersection(pattern, host)) is not None]
    return list(dict.fromkeys(found))


def _virtual_host(domain: str, entries: list[Any], port: int, https_redirect: bool) -> Any:
    # Several VirtualServices may meet here: what takes everything must not hide the others.
    ordered = sorted(entries, key=lambda entry: is_catch_all(entry.match))
    message = route_components_pb2.VirtualHost(
        name=f"{domain}:{port}", domains=[domain], routes=ordered, include_request_attempt_count=True
    )
    if https_redirect:
        message.require_tls = route_components_pb2.VirtualHost.ALL
    return message
