"""Resources for gRPC's own xDS client, which has no proxy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from envoy.config.listener.v3 import api_listener_pb2, listener_pb2
from envoy.config.route.v3 import route_components_pb2, route_pb2
from envoy.extensions.filters.http.fault.v3 import fault_pb2
from envoy.extensions.filters.http.router.v3 import router_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm_pb2

from mizzen.pilot.base.labels import Labels
from mizzen.pilot.generate import names
from mizzen.pilot.generate.encoded import Encoded, encode
from mizzen.pilot.generate.hcm import FAULT_FILTER
from mizzen.pilot.generate.httproute import RouteContext, default_route, routes
from mizzen.pilot.generate.protos import ads, pack
from mizzen.pilot.generate.routes import routing_of
from mizzen.pilot.snapshot.destinationrule import RuleIndex
from mizzen.pilot.snapshot.scope import Scope
from mizzen.pilot.snapshot.service import Port, Service
from mizzen.pilot.snapshot.virtualservice import MESH


@dataclass(frozen=True, slots=True)
class GrpcListenerInputs:
    """What decides the listener of a target."""

    name: str
    """What the client asked for: `<host>:<port>`."""
    routes: str


@dataclass(frozen=True, slots=True)
class GrpcRouteInputs:
    """What decides the routes of a target."""

    name: str
    service: Service
    port: Port
    scope: Scope
    rules: RuleIndex
    labels: Labels


def target(name: str, scope: Scope) -> tuple[Service, Port] | None:
    """The service port that a client means by `<host>:<port>`; None when it is not in reach."""
    parsed = names.parse_sniffed_route(name)
    service = scope.service(parsed[0].lower()) if parsed is not None else None
    port = service.port(parsed[1]) if service is not None and parsed is not None else None
    return (service, port) if service is not None and port is not None else None


def grpc_listener(inputs: GrpcListenerInputs) -> Encoded:
    """A listener without address: how to route the calls of a channel."""
    manager = hcm_pb2.HttpConnectionManager(
        rds=hcm_pb2.Rds(route_config_name=inputs.routes, config_source=ads()),
        http_filters=[
            hcm_pb2.HttpFilter(name=FAULT_FILTER, typed_config=pack(fault_pb2.HTTPFault())),
            hcm_pb2.HttpFilter(name="envoy.filters.http.router", typed_config=pack(router_pb2.Router())),
        ],
    )
    message = listener_pb2.Listener(
        name=inputs.name, api_listener=api_listener_pb2.ApiListener(api_listener=pack(manager))
    )
    return encode(inputs.name, message)


def grpc_routes(inputs: GrpcRouteInputs) -> Encoded:
    """The routes of a service, for whatever name the channel was made with."""
    context = RouteContext(
        port=inputs.port.number,
        gateways=frozenset({MESH}),
        namespace=inputs.scope.namespace,
        labels=inputs.labels,
        scope=inputs.scope,
        rules=inputs.rules,
        grpc=True,
    )
    egress = inputs.scope.egress_for(inputs.port.number)
    routing = routing_of(inputs.service, egress) if egress is not None else None
    entries: list[Any] = routes(routing, context, inputs.port.number) if routing is not None else []
    entries = entries or [default_route(inputs.service, inputs.port.number, context)]
    host = route_components_pb2.VirtualHost(
        name=f"{inputs.service.hostname}:{inputs.port.number}", domains=["*"], routes=entries
    )
    return encode(inputs.name, route_pb2.RouteConfiguration(name=inputs.name, virtual_hosts=[host]))
