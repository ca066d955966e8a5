"""The route configuration of requests to the own application: one route, part of the listener."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from envoy.config.route.v3 import route_components_pb2, route_pb2

from mizzen.pilot.generate.match import everything
from mizzen.pilot.generate.mixer.routes import describe_own
from mizzen.pilot.generate.mixer.use import Use
from mizzen.pilot.generate.protos import boolean, duration, uint32


@dataclass(frozen=True, slots=True)
class InboundRoute:
    """What decides it."""

    cluster: str
    service_port: int
    host: str
    """For the operation's name in traces; empty when no service is known."""
    retries: bool = True
    """Requests that never reached the application are sent again; a stream of gRPC may have begun all the same."""
    mixer: Use | None = None


def inbound_route(inputs: InboundRoute) -> Any:
    """Everything to the application, without a time limit of its own."""
    route = route_components_pb2.Route(name="default", match=everything())
    route.decorator.operation = f"{inputs.host}:{inputs.service_port}/*"
    route.route.cluster = inputs.cluster
    route.route.timeout.CopyFrom(duration(0))
    route.route.max_stream_duration.max_stream_duration.CopyFrom(duration(0))
    route.route.max_stream_duration.grpc_timeout_header_max.CopyFrom(duration(0))
    if inputs.retries:
        policy = route_components_pb2.RetryPolicy(retry_on="reset-before-request", num_retries=uint32(2))
        route.route.retry_policy.CopyFrom(policy)
    describe_own(route, inputs.mixer)
    host = route_components_pb2.VirtualHost(name=f"inbound|http|{inputs.service_port}", domains=["*"], routes=[route])
    return route_pb2.RouteConfiguration(name=inputs.cluster, virtual_hosts=[host], validate_clusters=boolean(False))
