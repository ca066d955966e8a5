"""RouteConfiguration to RouteTablePlan."""

from __future__ import annotations

from typing import Any

from mizzen.proxy.engine.plan import RoutePlan, RouteTablePlan, VirtualHostPlan
from mizzen.proxy.snapshot.actions import Limits, action
from mizzen.proxy.snapshot.matchers import NotEvaluable, route_match
from mizzen.proxy.snapshot.mixer import own_service
from mizzen.proxy.snapshot.result import Invalid, Notes, at
from mizzen.proxy.snapshot.values import first_duplicate, header_edits, origin, wrapped

_EDITS = (
    "request_headers_to_add",
    "request_headers_to_remove",
    "response_headers_to_add",
    "response_headers_to_remove",
)
_TABLE = (
    *_EDITS,
    "name",
    "virtual_hosts",
    "validate_clusters",  # a route to an unknown cluster answers 503 NC when it is used
    "max_direct_response_body_size_bytes",
    "ignore_port_in_host_matching",
    "metadata",
)
_HOST = (
    *_EDITS,
    "name",
    "domains",
    "routes",
    "require_tls",
    "include_request_attempt_count",
    "retry_policy",
    "metadata",
)
_ROUTE = (
    *_EDITS,
    "name",
    "match",
    "route",
    "redirect",
    "direct_response",
    "metadata",
    "decorator",
    "stat_prefix",
    "typed_per_filter_config",
)
_EXTERNAL_ONLY = 1


def route_table(message: Any, notes: Notes) -> RouteTablePlan:
    """Compile; raises Invalid."""
    notes.check(message, _TABLE)
    limits = Limits(response_body=wrapped(message, "max_direct_response_body_size_bytes", 4096))
    hosts = []
    for index, host in enumerate(message.virtual_hosts):
        with at(f"virtual_hosts[{index}]"):
            hosts.append(_virtual_host(host, limits, notes))
    _check_unique(hosts)
    return RouteTablePlan(
        name=message.name,
        hosts=tuple(hosts),
        request_edits=header_edits(message, "request", notes),
        response_edits=header_edits(message, "response", notes),
        ignore_port=message.ignore_port_in_host_matching,
    )


def _check_unique(hosts: list[VirtualHostPlan]) -> None:
    name = first_duplicate(host.name for host in hosts)
    if name is not None:
        raise Invalid("virtual_hosts", f"two virtual hosts are named {name!r}")
    domain = first_duplicate(domain for host in hosts for domain in host.domains)
    if domain is not None:
        raise Invalid("virtual_hosts", f"domain {domain!r} is given twice")


def _virtual_host(message: Any, limits: Limits, notes: Notes) -> VirtualHostPlan:
    notes.check(message, _HOST)
    if not message.name:
        raise Invalid("name", "is missing")
    if not message.domains:
        raise Invalid("domains", "is empty")
    if message.require_tls == _EXTERNAL_ONLY:
        notes.add("envoy.config.route.v3.VirtualHost.require_tls")  # all requests are redirected, not only those
    retry = message.retry_policy if message.HasField("retry_policy") else None
    routes = []
    for index, route in enumerate(message.routes):
        with at(f"routes[{index}]"):
            plan = _route(route, retry, limits, notes)
        if plan is not None:
            routes.append(plan)
    return VirtualHostPlan(
        name=message.name,
        domains=tuple(domain.lower() for domain in message.domains),
        routes=tuple(routes),
        request_edits=header_edits(message, "request", notes),
        response_edits=header_edits(message, "response", notes),
        require_tls=message.require_tls != 0,
        include_attempt_count=message.include_request_attempt_count,
    )


def _route(message: Any, retry: Any | None, limits: Limits, notes: Notes) -> RoutePlan | None:
    """None when the route has a condition that this proxy cannot evaluate: such a route must not match everything."""
    source = origin(message.metadata)
    try:
        with at("match"):
            match = route_match(message.match)
    except NotEvaluable as condition:
        notes.add(str(condition), source)
        return None
    notes.check(message, _ROUTE, source)
    return RoutePlan(
        name=message.name,
        match=match,
        action=action(message, retry, limits, notes, source),
        request_edits=header_edits(message, "request", notes, source),
        response_edits=header_edits(message, "response", notes, source),
        origin=source,
        mixer=own_service(message, notes, source),
    )
