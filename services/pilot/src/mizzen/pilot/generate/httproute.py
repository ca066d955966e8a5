"""One rule of a VirtualService as Envoy routes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from envoy.config.core.v3 import base_pb2
from envoy.config.route.v3 import route_components_pb2 as route_pb2

from mizzen.api.virtualservice import Destination, HTTPMatchRequest, HTTPRoute, HTTPRouteDestination, Percent
from mizzen.pilot.base.labels import Labels, labels
from mizzen.pilot.generate import headeredits, match, names, redirect, routefilters
from mizzen.pilot.generate.hashpolicy import hash_policies
from mizzen.pilot.generate.hcm import CORS_FILTER, FAULT_FILTER
from mizzen.pilot.generate.protos import boolean, duration, metadata, pack, percent, provenance, regex, uint32
from mizzen.pilot.generate.retry import retry_policy
from mizzen.pilot.snapshot.destinationrule import RuleIndex, effective
from mizzen.pilot.snapshot.scope import Scope
from mizzen.pilot.snapshot.service import Service
from mizzen.pilot.snapshot.virtualservice import Routing

UNKNOWN_HOST = "UnknownService"


@dataclass(frozen=True, slots=True)
class RouteContext:
    """Where routes are used: on which port, behind which gateways, for which client."""

    port: int
    """The listener's; 0 when routes serve every port (the HTTP proxy)."""
    gateways: frozenset[str]
    """`mesh`, or the gateways whose server this is."""
    namespace: str
    labels: Labels
    scope: Scope
    rules: RuleIndex
    grpc: bool = False
    """For gRPC's own client, which reads the timeout elsewhere."""


def routes(routing: Routing, context: RouteContext, origin_port: int) -> list[Any]:
    """The Envoy routes of a VirtualService, up to the first that takes everything.

    `origin_port` is the service port in question; it differs from the listener's at the HTTP proxy.
    """
    found: list[Any] = []
    for index, http in enumerate(routing.http):
        for request in http.match or (None,):
            if request is not None and not _applies(request, context, origin_port):
                continue
            message = _route(http, request, routing.origin_of(index), context, origin_port)
            found.append(message)
            if match.is_catch_all(message.match):
                return found
    return found


def default_route(service: Service, port: int, context: RouteContext) -> Any:
    """The route of a service that no VirtualService speaks of."""
    message = route_pb2.Route(name="default", match=match.everything())
    message.decorator.operation = f"{service.hostname}:{port}/*"
    action = message.route
    action.cluster = names.outbound(port, "", service.hostname)
    _set_timeout(action, None, context)
    policies = _hashes(Destination(host=service.hostname), port, context)
    action.hash_policy.extend(policies)
    action.retry_policy.CopyFrom(retry_policy(None, hashed=bool(policies)))
    return message


def destination_cluster(destination: Destination, context_port: int, service: Service | None) -> str:
    """The cluster of a destination: its port, else the only port of its service, else the listener's."""
    return names.outbound(_port(destination, context_port, service), destination.subset, destination.host)


def _port(destination: Destination, listener_port: int, service: Service | None) -> int:
    if destination.port is not None:
        return destination.port.number
    if service is not None and len(service.ports) == 1:
        return service.ports[0].number
    return listener_port


def _applies(request: HTTPMatchRequest, context: RouteContext, port: int) -> bool:
    """Conditions that are decided when routes are made, not per request."""
    if request.port is not None and request.port != port:
        return False
    if request.gateways:
        return not context.gateways.isdisjoint(request.gateways)
    if not labels(request.source_labels) <= context.labels:
        return False
    return request.source_namespace in ("", context.namespace)


def _route(
    http: HTTPRoute, request: HTTPMatchRequest | None, origin: tuple[str, str, str], context: RouteContext, port: int
) -> Any:
    message = route_pb2.Route(
        name=_name(http, request),
        match=match.everything() if request is None else match.route_match(request),
        metadata=metadata(provenance(*origin)),
    )
    if request is not None and request.stat_prefix:
        message.stat_prefix = request.stat_prefix
    headeredits.apply(message, http.headers)
    operation = f"{origin[2]}:{port}"
    if http.redirect is not None:
        message.redirect.CopyFrom(redirect.redirect(http.redirect, context.port or port))
    elif http.direct_response is not None:
        message.direct_response.CopyFrom(redirect.direct_response(http.direct_response))
    else:
        message.route.CopyFrom(_action(http, request, context, port))
        if len(http.route) == 1:
            operation = f"{http.route[0].destination.host}:{_port_of(http.route[0].destination, port, context)}"
            headeredits.apply(message, http.route[0].headers)
    message.decorator.operation = operation + _operation_path(message.match)
    if http.fault is not None and (fault := routefilters.fault(http.fault)) is not None:
        message.typed_per_filter_config[FAULT_FILTER].CopyFrom(pack(fault))
    if http.cors_policy is not None:
        message.typed_per_filter_config[CORS_FILTER].CopyFrom(pack(routefilters.cors(http.cors_policy)))
    return message


def _name(http: HTTPRoute, request: HTTPMatchRequest | None) -> str:
    if request is None or not request.name:
        return http.name
    return f"{http.name}.{request.name}"


def _operation_path(conditions: Any) -> str:
    kind = conditions.WhichOneof("path_specifier")
    if kind == "path":
        return str(conditions.path)
    if kind == "safe_regex":
        return str(conditions.safe_regex.regex)
    return f"{conditions.prefix}*"


def _action(http: HTTPRoute, request: HTTPMatchRequest | None, context: RouteContext, port: int) -> Any:
    action = route_pb2.RouteAction()
    _set_destinations(action, http, context, port)
    _set_timeout(action, http, context)
    _set_rewrite(action, http)
    for destination, share in _mirrors(http):
        service = context.scope.service(destination.host)
        action.request_mirror_policies.add(
            cluster=destination_cluster(destination, port, service),
            runtime_fraction=base_pb2.RuntimeFractionalPercent(default_value=percent(share)),
            trace_sampled=boolean(False),
            disable_shadow_host_suffix_append=True,
        )
    policies = [policy for entry in http.route for policy in _hashes(entry.destination, port, context)]
    action.hash_policy.extend(policies)
    retries = retry_policy(http.retries, hashed=bool(policies))
    if retries is not None:
        action.retry_policy.CopyFrom(retries)
    return action


def _set_destinations(action: Any, http: HTTPRoute, context: RouteContext, port: int) -> None:
    if not http.route:
        action.cluster = UNKNOWN_HOST
        return
    if len(http.route) == 1:
        destination = http.route[0].destination
        action.cluster = destination_cluster(destination, port, context.scope.service(destination.host))
        host = headeredits.authority(http.route[0].headers)
        if host:
            action.host_rewrite_literal = host
        return
    for entry in http.route:
        if entry.weight:
            _add_weighted(action, entry, context, port)


def _add_weighted(action: Any, entry: HTTPRouteDestination, context: RouteContext, port: int) -> None:
    cluster = destination_cluster(entry.destination, port, context.scope.service(entry.destination.host))
    weighted = action.weighted_clusters.clusters.add(name=cluster, weight=uint32(entry.weight or 0))
    headeredits.apply(weighted, entry.headers)
    host = headeredits.authority(entry.headers)
    if host:
        weighted.host_rewrite_literal = host


def _set_timeout(action: Any, http: HTTPRoute | None, context: RouteContext) -> None:
    """No timeout unless one is asked for, and then it also caps what gRPC clients ask for."""
    limit = duration(http.timeout if http is not None and http.timeout is not None else 0)
    action.timeout.CopyFrom(limit)
    if context.grpc:
        if limit.seconds or limit.nanos:
            action.max_stream_duration.max_stream_duration.CopyFrom(limit)
    else:
        action.max_grpc_timeout.CopyFrom(limit)


def _set_rewrite(action: Any, http: HTTPRoute) -> None:
    host = headeredits.authority(http.headers)
    if host:
        action.host_rewrite_literal = host
    rewrite = http.rewrite
    if rewrite is None:
        return
    if rewrite.uri_regex_rewrite is not None:
        action.regex_rewrite.pattern.CopyFrom(regex(rewrite.uri_regex_rewrite.match or ""))
        action.regex_rewrite.substitution = rewrite.uri_regex_rewrite.rewrite
    elif rewrite.uri:
        action.prefix_rewrite = rewrite.uri
    if rewrite.authority:
        action.host_rewrite_literal = rewrite.authority


def _mirrors(http: HTTPRoute) -> Iterator[tuple[Destination, float]]:
    """Destinations of copies and their share in percent; a share of 0 is no mirror."""
    whole = Percent(value=100.0)
    stated = [(mirror.destination, (mirror.percentage or whole).value) for mirror in http.mirrors]
    if http.mirror is not None:
        share = whole.value if http.mirror_percent is None else float(http.mirror_percent)
        if http.mirror_percentage is not None:
            share = http.mirror_percentage.value
        stated.append((http.mirror, share))
    yield from ((destination, share) for destination, share in stated if share > 0)


def _port_of(destination: Destination, port: int, context: RouteContext) -> int:
    return _port(destination, port, context.scope.service(destination.host))


def _hashes(destination: Destination, port: int, context: RouteContext) -> list[Any]:
    service = context.scope.service(destination.host)
    if service is None:
        return []
    rule = context.rules.lookup(service.hostname, service.namespace, context.namespace, context.labels)
    if rule is None:
        return []
    policy = effective(rule, _port(destination, port, service), rule.subset(destination.subset))
    return hash_policies(policy.load_balancer)
