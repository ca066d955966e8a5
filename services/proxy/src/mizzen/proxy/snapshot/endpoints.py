"""ClusterLoadAssignment to EndpointSetPlan."""

from __future__ import annotations

import ipaddress
from typing import Any

from mizzen.proxy.engine.plan import EndpointPlan, EndpointSetPlan
from mizzen.proxy.snapshot.result import Invalid, Notes, at
from mizzen.proxy.snapshot.tls import MATCH_METADATA, said
from mizzen.proxy.snapshot.values import istio_metadata, wrapped

_UNHEALTHY = frozenset({2, 3, 4})
"""envoy.config.core.v3.HealthStatus UNHEALTHY, DRAINING and TIMEOUT."""
_MAX_PORT = 65535
_POLICY = ("overprovisioning_factor", "weighted_priority_health")


def endpoint_set(message: Any, notes: Notes, *, names: bool = False) -> EndpointSetPlan:
    """Compile; `names` allows host names as addresses (a DNS cluster). Raises Invalid."""
    if not message.cluster_name:
        raise Invalid("cluster_name", "is missing")
    notes.check(message, ("cluster_name", "endpoints", "policy"))
    notes.check(message.policy, _POLICY)
    endpoints: list[EndpointPlan] = []
    for index, group in enumerate(message.endpoints):
        with at(f"endpoints[{index}]"):
            endpoints.extend(_group(group, notes, names))
    return EndpointSetPlan(message.cluster_name, tuple(endpoints))


def _group(group: Any, notes: Notes, names: bool) -> list[EndpointPlan]:
    notes.check(group, ("locality", "metadata", "lb_endpoints", "load_balancing_weight", "priority"))
    place = group.locality
    locality = "/".join((place.region, place.zone, place.sub_zone)).rstrip("/")
    endpoints = []
    for index, item in enumerate(group.lb_endpoints):
        with at(f"lb_endpoints[{index}]"):
            endpoints.append(_endpoint(item, group.priority, locality, names))
    return endpoints


def _endpoint(item: Any, priority: int, locality: str, names: bool) -> EndpointPlan:
    with at("endpoint.address"):
        host, port = socket_address(item.endpoint.address, names=names)
    weight = wrapped(item, "load_balancing_weight", 1)
    if weight < 1:
        raise Invalid("load_balancing_weight", "must be at least 1")
    return EndpointPlan(
        address=host,
        port=port,
        weight=weight,
        priority=priority,
        healthy=item.health_status not in _UNHEALTHY,
        locality=locality,
        workload=istio_metadata(item.metadata, "workload"),
        says=frozenset(said(item.metadata.filter_metadata[MATCH_METADATA]))
        if MATCH_METADATA in item.metadata.filter_metadata
        else frozenset(),
    )


def socket_address(address: Any, *, names: bool = False) -> tuple[str, int]:
    """(host, port) of an Address; raises Invalid for pipes, and for names unless `names`."""
    kind = address.WhichOneof("address")
    if kind != "socket_address":
        raise Invalid(kind or "socket_address", "only IP addresses with a port are supported")
    socket = address.socket_address
    if socket.protocol != 0:
        raise Invalid("socket_address.protocol", "only TCP is supported")
    if not names:
        try:
            ipaddress.ip_address(socket.address)
        except ValueError:
            raise Invalid("socket_address.address", f"{socket.address!r} is not an IP address") from None
    if socket.WhichOneof("port_specifier") == "named_port" or not socket.port_value:
        raise Invalid("socket_address.port_value", "is missing")
    if socket.port_value > _MAX_PORT:
        raise Invalid("socket_address.port_value", f"must be at most {_MAX_PORT}, not {socket.port_value}")
    return socket.address, socket.port_value
