"""Clusters: outbound ones per service port and subset, inbound ones per application port, and the fixed ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from envoy.config.cluster.v3 import circuit_breaker_pb2, cluster_pb2
from envoy.config.core.v3 import address_pb2

from mizzen.api.destinationrule import ClientTLSMode, ConnectionPoolSettings, LoadBalancerSettings, SimpleLB
from mizzen.pilot.base.meshconfig import MeshConfig
from mizzen.pilot.base.protocol import Protocol
from mizzen.pilot.generate import names, tls, trafficpolicy, upstream
from mizzen.pilot.generate.encoded import Encoded, encode
from mizzen.pilot.generate.endpoints import assignment
from mizzen.pilot.generate.protos import PROVENANCE, ads, duration, provenance, struct
from mizzen.pilot.snapshot.destinationrule import Policy, Rule, effective
from mizzen.pilot.snapshot.service import Endpoint, Port, Resolution, Service

_Cluster = cluster_pb2.Cluster
_DISCOVERY = {
    Resolution.STATIC: _Cluster.EDS,
    Resolution.DNS: _Cluster.STRICT_DNS,
    Resolution.DNS_ROUND_ROBIN: _Cluster.LOGICAL_DNS,
    Resolution.PASSTHROUGH: _Cluster.ORIGINAL_DST,
}
NAMED = frozenset({Resolution.DNS, Resolution.DNS_ROUND_ROBIN})
"""Resolutions whose endpoints are part of the cluster."""
FOREVER = 9_223_372_035
"""Seconds; the longest that Istio can say."""


@dataclass(frozen=True, slots=True)
class ClusterInputs:
    """What decides the outbound cluster of a service port or of a subset of it."""

    service: Service
    port: Port
    subset: str
    rule: Rule | None
    endpoints: tuple[Endpoint, ...]
    """Only for resolutions by name; others get theirs by EDS."""
    settings: MeshConfig
    grpc: bool = False
    """For gRPC's own client, which knows fewer balancers."""
    lookup: int = _Cluster.V4_ONLY
    """Which addresses of a name count."""
    expected: tuple[str, ...] | None = None
    """Who may stand for the service, where the client can speak mutual TLS; None where it cannot."""
    required: bool = False
    """It does so with all endpoints, unless a rule says otherwise."""
    credentials: bool = False
    """The client may have Secrets that rules name: gateways alone, as in Istio."""
    passed: bool = False
    """Connections are in mutual TLS already, which is left to the endpoint."""
    captured: bool = False
    """Connections come with the address that the client chose among the pods of a headless service."""


@dataclass(frozen=True, slots=True)
class InboundInputs:
    """What decides the cluster of a port of the own application."""

    port: int
    address: str
    """Where the application listens; empty means the address the connection was made to."""
    target_port: int
    protocol: Protocol
    services: tuple[Service, ...]
    pool: ConnectionPoolSettings | None
    settings: MeshConfig
    rule: tuple[str, str, str] | None = None
    """(kind, namespace, name) of the object that states the limits."""
    sources: tuple[str, ...] = ()
    """Source addresses that traffic capture leaves alone; empty leaves the choice to the kernel."""


@dataclass(frozen=True, slots=True)
class FixedInputs:
    """What decides a cluster that every proxy has."""

    name: str
    settings: MeshConfig
    sources: tuple[str, ...] = ()
    """As in `InboundInputs`."""


def outbound_cluster(inputs: ClusterInputs) -> Encoded:
    """The cluster `outbound|<port>|<subset>|<host>`, or `outbound_.<port>_.<subset>_.<host>` where TLS goes through."""
    service, port = inputs.service, inputs.port
    subset = inputs.rule.subset(inputs.subset) if inputs.rule is not None and inputs.subset else None
    policy = effective(inputs.rule, port.number, subset)
    name = names.ClusterName("outbound", port.number, inputs.subset, service.hostname, inputs.passed)
    message = _cluster(str(name), inputs.settings)
    message.type = _discovery(service, policy.load_balancer, captured=inputs.captured)
    if message.type == _Cluster.EDS:
        message.eds_cluster_config.service_name = message.name
        message.eds_cluster_config.eds_config.CopyFrom(ads())
    elif message.type == _Cluster.ORIGINAL_DST:
        message.lb_policy = _Cluster.CLUSTER_PROVIDED
        if not service.kubernetes and isinstance(port.target_port, int) and port.target_port not in (0, port.number):
            message.original_dst_lb_config.upstream_port_override.value = port.target_port
    else:
        _resolve_names(message, inputs)
    if message.type != _Cluster.ORIGINAL_DST:
        trafficpolicy.balance(message, policy.load_balancer, grpc=inputs.grpc)
        message.common_lb_config.healthy_panic_threshold.value = 0
    _apply(message, policy, inputs)
    if not inputs.passed:
        _secure(message, policy, inputs)
    _describe(message, inputs)
    return encode(message.name, message)


def inbound_cluster(inputs: InboundInputs) -> Encoded:
    """The cluster `inbound|<port>||`."""
    message = _cluster(names.inbound(inputs.port), inputs.settings)
    if inputs.address:
        message.type = _Cluster.STATIC
        endpoint = Endpoint(inputs.address, inputs.target_port, "")
        message.load_assignment.CopyFrom(assignment(message.name, (endpoint,)))
    else:
        _set_original(message)
        message.cleanup_interval.FromSeconds(FOREVER)
    if inputs.sources:
        message.upstream_bind_config.CopyFrom(_bind(inputs.sources))
    trafficpolicy.pool(message, inputs.pool)
    upstream.protocol_options(message, inputs.protocol, inputs.pool, upgrades=False)
    facts: dict[str, Any] = {"services": [_service_metadata(service) for service in inputs.services]}
    if inputs.rule is not None:
        facts |= provenance(*inputs.rule)
    message.metadata.filter_metadata[PROVENANCE].CopyFrom(struct(facts))
    return encode(message.name, message)


def black_hole(inputs: FixedInputs) -> Encoded:
    """The cluster that refuses everything."""
    message = _cluster(inputs.name, inputs.settings)
    message.type = _Cluster.STATIC
    return encode(message.name, message)


def passthrough(inputs: FixedInputs) -> Encoded:
    """The cluster of the address that the client meant."""
    message = _cluster(inputs.name, inputs.settings)
    _set_original(message)
    if inputs.sources:
        message.upstream_bind_config.CopyFrom(_bind(inputs.sources))
    upstream.protocol_options(message, Protocol.UNSUPPORTED, None, idle=300.0)
    return encode(message.name, message)


def stand_in(name: str) -> Encoded:
    """A cluster that waits for its endpoints without a time limit: until then Envoy uses what it has by that name."""
    message = cluster_pb2.Cluster(name=name, type=_Cluster.EDS)
    message.eds_cluster_config.service_name = name
    message.eds_cluster_config.eds_config.CopyFrom(ads())
    return encode(name, message)


def _cluster(name: str, settings: MeshConfig) -> Any:
    # Envoy cuts statistics names at colons and the like; the suffix keeps the name whole.
    message = cluster_pb2.Cluster(
        name=name, alt_stat_name=f"{name};", connect_timeout=duration(settings.connect_timeout)
    )
    unlimited = circuit_breaker_pb2.CircuitBreakers.Thresholds(track_remaining=True)
    for field in ("max_connections", "max_pending_requests", "max_requests", "max_retries"):
        getattr(unlimited, field).value = trafficpolicy.UNLIMITED
    message.circuit_breakers.thresholds.append(unlimited)
    return message


def _set_original(message: Any) -> None:
    message.type = _Cluster.ORIGINAL_DST
    message.lb_policy = _Cluster.CLUSTER_PROVIDED


def _bind(sources: tuple[str, ...]) -> Any:
    """The first source address, and those of other families."""
    first, *others = (address_pb2.SocketAddress(address=source, port_value=0) for source in sources)
    extra = [address_pb2.ExtraSourceAddress(address=other) for other in others]
    return address_pb2.BindConfig(source_address=first, extra_source_addresses=extra)


def _discovery(service: Service, balancer: LoadBalancerSettings | None, *, captured: bool) -> int:
    if service.headless and not captured:
        return int(_Cluster.EDS)
    if balancer is not None and balancer.simple is SimpleLB.PASSTHROUGH:
        return int(_Cluster.ORIGINAL_DST)
    return int(_DISCOVERY[service.resolution])


def _resolve_names(message: Any, inputs: ClusterInputs) -> None:
    message.load_assignment.CopyFrom(assignment(message.name, inputs.endpoints))
    message.dns_refresh_rate.CopyFrom(duration(inputs.settings.dns_refresh_rate))
    message.dns_jitter.CopyFrom(duration(0.1))
    message.respect_dns_ttl = True
    message.dns_lookup_family = inputs.lookup


def _apply(message: Any, policy: Policy, inputs: ClusterInputs) -> None:
    trafficpolicy.pool(message, policy.connection_pool)
    trafficpolicy.retry_budget(message, policy.retry_budget)
    trafficpolicy.outlier(message, policy.outlier_detection)
    protocol = Protocol.TCP if inputs.passed else inputs.port.protocol
    begun = None if inputs.passed else upstream.originated(policy, credentials=inputs.credentials)
    upstream.transport(message, policy, begun, protocol)
    upstream.protocol_options(message, protocol, policy.connection_pool, tls=begun)


def _secure(message: Any, policy: Policy, inputs: ClusterInputs) -> None:
    """Mutual TLS inside of the mesh: where a rule or the port asks for it, else with endpoints that can do it."""
    mode = policy.tls.mode if policy.tls is not None else None
    if inputs.expected is None or inputs.service.external or mode not in (None, ClientTLSMode.ISTIO_MUTUAL):
        return
    port = inputs.port
    stated = policy.tls.subject_alt_names if policy.tls is not None else ()
    server_name = policy.tls.sni if policy.tls is not None else ""
    if not server_name:
        host = inputs.service.hostname
        server_name = host if inputs.required else names.server_name(port.number, inputs.subset, host)
    socket = tls.client_socket(
        server_name,
        tuple(stated) or inputs.expected,
        http2=port.protocol.is_http2,
    )
    if mode is None and not inputs.required:
        message.transport_socket_matches.extend(tls.by_capability(socket))
    else:
        message.transport_socket.CopyFrom(socket)


def _describe(message: Any, inputs: ClusterInputs) -> None:
    facts: dict[str, Any] = {"services": [_service_metadata(inputs.service)]}
    facts["default_original_port"] = inputs.port.number
    if inputs.rule is not None:
        facts |= provenance(*inputs.rule.origin)
    if inputs.subset:
        facts["subset"] = inputs.subset
    message.metadata.filter_metadata[PROVENANCE].CopyFrom(struct(facts))


def _service_metadata(service: Service) -> dict[str, str]:
    return {"host": service.hostname, "name": service.name, "namespace": service.namespace}
