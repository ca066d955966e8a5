"""Mixer in route configurations: which service each route leads to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mizzen.pilot.generate import names
from mizzen.pilot.generate.mixer import envoy, istio
from mizzen.pilot.generate.mixer.attributes import service_attributes
from mizzen.pilot.generate.mixer.use import RouteUse, Use
from mizzen.pilot.generate.protos import pack
from mizzen.pilot.snapshot.scope import Scope
from mizzen.pilot.snapshot.service import Service


def describe_services(configuration: Any, use: RouteUse | None, scope: Scope) -> None:
    """Give every route, or every weighted cluster of one, the configuration of its service."""
    if use is None or not (use.own or use.checks):
        return
    key = istio.FILTER if use.own else envoy.AUTHORIZATION_FILTER
    for host in configuration.virtual_hosts:
        if not use.own:
            host.typed_per_filter_config[key].CopyFrom(pack(envoy.authorized(use.attributes)))
        for route in host.routes:
            for place, cluster in _clusters(route):
                service = _service(cluster, scope)
                if service is not None:
                    place.typed_per_filter_config[key].CopyFrom(pack(_configuration(service, use)))


def describe_own(route: Any, use: Use | None) -> None:
    """The same for the route to the own application."""
    if use is None:
        return
    if use.own:
        route.typed_per_filter_config[istio.FILTER].CopyFrom(pack(istio.inbound_service(use)))
    elif use.checks:
        stated = envoy.authorized((*use.attributes, *use.service), use)
        route.typed_per_filter_config[envoy.AUTHORIZATION_FILTER].CopyFrom(pack(stated))


def _configuration(service: Service, use: RouteUse) -> Any:
    attributes = service_attributes(service)
    if not use.own:
        return envoy.authorized(attributes)
    return istio.outbound_service(attributes, checks=use.checks, reports=use.reports)


def _clusters(route: Any) -> Iterator[tuple[Any, str]]:
    """Where to put the configuration, and for which cluster."""
    action = route.route
    if route.WhichOneof("action") != "route":
        return
    if action.cluster:
        yield route, action.cluster
    for weighted in action.weighted_clusters.clusters:
        yield weighted, weighted.name


def _service(cluster: str, scope: Scope) -> Service | None:
    parsed = names.parse_cluster(cluster)
    return scope.service(parsed.host) if parsed is not None else None
