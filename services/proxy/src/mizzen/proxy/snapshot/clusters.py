"""Cluster to ClusterPlan."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any, Literal

from envoy.extensions.upstreams.http.v3 import http_protocol_options_pb2

from mizzen.proxy.engine.plan import ClusterPlan, DestinationPlan, EndpointSetPlan
from mizzen.proxy.snapshot.endpoints import endpoint_set
from mizzen.proxy.snapshot.result import Invalid, Notes, at
from mizzen.proxy.snapshot.tls import sockets
from mizzen.proxy.snapshot.values import origin, seconds, service, unpack, wrapped

_HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
_DISCOVERY: dict[int, Literal["static", "eds", "dns", "original_dst"]] = {
    0: "static",
    1: "dns",  # STRICT_DNS
    2: "dns",  # LOGICAL_DNS
    3: "eds",
    4: "original_dst",
}
_BALANCERS: dict[int, Literal["round_robin", "random", "least_request"]] = {
    0: "round_robin",
    1: "least_request",
    3: "random",
    6: "round_robin",  # CLUSTER_PROVIDED: an original_dst cluster has nothing to choose
}
_UNLIMITED = 2**32 - 1
_DESTINATION_HEADER = "x-envoy-original-dst-host"

_CLUSTER = (
    "name",
    "type",
    "eds_cluster_config",
    "connect_timeout",
    "lb_policy",
    "load_assignment",
    "max_requests_per_connection",
    "circuit_breakers",
    "common_http_protocol_options",
    "http_protocol_options",
    "http2_protocol_options",
    "typed_extension_protocol_options",
    "dns_refresh_rate",
    "least_request_lb_config",
    "common_lb_config",
    "transport_socket",
    "transport_socket_matches",
    "upstream_bind_config",
    "original_dst_lb_config",
    "cleanup_interval",
    "metadata",
    # Without effect on requests: statistics, buffers of Envoy's own kind, details of DNS.
    "alt_stat_name",
    "track_cluster_stats",
    "per_connection_buffer_limit_bytes",
    "dns_jitter",
    "dns_failure_refresh_rate",
    "respect_dns_ttl",
    "dns_lookup_family",
    "wait_for_warm_on_init",
    "ring_hash_lb_config",  # reported as lb_policy
    "maglev_lb_config",
)


def cluster(message: Any, notes: Notes) -> ClusterPlan:
    """Compile; raises Invalid."""
    source = origin(message.metadata)
    if message.HasField("cluster_type"):
        raise Invalid("cluster_type", f"{message.cluster_type.name or 'custom clusters'} is not supported")
    notes.check(message, _CLUSTER, source)
    _note_limits(message, notes, source)
    discovery = _DISCOVERY[message.type]
    options = _http_options(message, notes, source)
    common = options.common_http_protocol_options if options else message.common_http_protocol_options
    notes.check(common, ("idle_timeout", "max_requests_per_connection"), source)
    return ClusterPlan(
        name=message.name,
        discovery=discovery,
        balancer=_balancer(message, notes, source),
        panic_threshold=wrapped(message.common_lb_config, "healthy_panic_threshold", 50.0),
        choice_count=wrapped(message.least_request_lb_config, "choice_count", 2),
        endpoint_set=_endpoint_set(message, discovery, notes),
        connect_timeout=seconds(message, "connect_timeout", 5.0),
        idle_timeout=seconds(common, "idle_timeout", 3600.0),
        max_requests_per_connection=wrapped(common, "max_requests_per_connection", 0)
        or wrapped(message, "max_requests_per_connection", 0),
        dns_refresh=seconds(message, "dns_refresh_rate", 5.0),
        http2=_http2(message, options),
        sources=_sources(message.upstream_bind_config, notes, source),
        destination=_destination(message, notes, source) if discovery == "original_dst" else DestinationPlan(),
        sockets=sockets(message, options, notes),
        service=service(message.metadata),
        origin=source,
    )


def _note_limits(message: Any, notes: Notes, source: str) -> None:
    """Report circuit breakers that limit something, and balancing settings beyond the balancer."""
    for thresholds in message.circuit_breakers.thresholds:
        for field in ("max_connections", "max_pending_requests", "max_requests", "max_retries"):
            if wrapped(thresholds, field, _UNLIMITED) < _UNLIMITED:
                notes.add(f"{thresholds.DESCRIPTOR.full_name}.{field}", source)
        notes.check(
            thresholds,
            ("priority", "max_connections", "max_pending_requests", "max_requests", "max_retries", "track_remaining"),
            source,
        )
    notes.check(message.circuit_breakers, ("thresholds",), source)
    notes.check(message.least_request_lb_config, ("choice_count",), source)
    notes.check(message.common_lb_config, ("healthy_panic_threshold", "close_connections_on_host_set_change"), source)


def _balancer(message: Any, notes: Notes, source: str) -> Literal["round_robin", "random", "least_request"]:
    balancer = _BALANCERS.get(message.lb_policy)
    if balancer is None:
        notes.add(f"{message.DESCRIPTOR.full_name}.lb_policy", source)
        return "round_robin"
    return balancer


def _endpoint_set(message: Any, discovery: str, notes: Notes) -> EndpointSetPlan | str:
    if discovery == "eds":
        if message.eds_cluster_config.eds_config.WhichOneof("config_source_specifier") != "ads":
            raise Invalid("eds_cluster_config.eds_config", "only ads is supported")
        return str(message.eds_cluster_config.service_name or message.name)
    if discovery == "original_dst":
        return ""
    if not message.HasField("load_assignment"):
        return EndpointSetPlan(message.name, ())
    with at("load_assignment"):
        return endpoint_set(message.load_assignment, notes, names=discovery == "dns")


def _sources(message: Any, notes: Notes, source: str) -> tuple[str, ...]:
    """Addresses to connect from; a port of its own would allow one connection at a time."""
    notes.check(message, ("source_address", "extra_source_addresses"), source)
    given = [("source_address", message.source_address)] if message.HasField("source_address") else []
    for index, extra in enumerate(message.extra_source_addresses):
        notes.check(extra, ("address",), source)
        given.append((f"extra_source_addresses[{index}].address", extra.address))
    found = []
    for field, address in given:
        with at(f"upstream_bind_config.{field}"):
            if address.port_value:
                raise Invalid("port_value", "must be 0")
            try:
                found.append(str(ip_address(address.address)))
            except ValueError:
                raise Invalid("address", f"{address.address!r} is not an IP address") from None
    return tuple(found)


def _destination(message: Any, notes: Notes, source: str) -> DestinationPlan:
    config = message.original_dst_lb_config
    notes.check(config, ("use_http_header", "http_header_name", "upstream_port_override"), source)
    named = config.http_header_name.lower() or _DESTINATION_HEADER
    return DestinationPlan(
        header=named if config.use_http_header else "",
        port=wrapped(config, "upstream_port_override", 0),
        cleanup_interval=seconds(message, "cleanup_interval", 5.0),
    )


def _http_options(message: Any, notes: Notes, source: str) -> Any | None:
    """The HttpProtocolOptions extension; reports what of it and of other extensions has no effect."""
    found = None
    for name, packed in message.typed_extension_protocol_options.items():
        with at(f"typed_extension_protocol_options[{name}]"):
            if name == _HTTP_OPTIONS:
                found = unpack(packed, http_protocol_options_pb2.HttpProtocolOptions)
                known = ("common_http_protocol_options", "upstream_http_protocol_options", *_PROTOCOL_CHOICES)
                notes.check(found, known, source)
            else:
                notes.add(f"{message.DESCRIPTOR.full_name}.typed_extension_protocol_options[{name}]", source)
    return found


_PROTOCOL_CHOICES = ("explicit_http_config", "use_downstream_protocol_config", "auto_config")


def _http2(message: Any, options: Any | None) -> bool:
    """Whether the endpoints want HTTP/2 for an HTTP/1.1 request; `auto` means HTTP/1.1 without TLS."""
    if options is None:
        return bool(message.HasField("http2_protocol_options"))
    explicit = options.explicit_http_config.WhichOneof("protocol_config")
    return explicit in ("http2_protocol_options", "http3_protocol_options")
