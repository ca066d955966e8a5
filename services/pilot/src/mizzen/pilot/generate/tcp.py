"""TCP proxying and filter chains."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from envoy.config.listener.v3 import listener_components_pb2
from envoy.extensions.filters.network.tcp_proxy.v3 import tcp_proxy_pb2

from mizzen.api.gateway import ServerTLSSettings
from mizzen.pilot.base.meshconfig import MeshConfig
from mizzen.pilot.generate.accesslog import access_logs
from mizzen.pilot.generate.mixer import envoy, istio
from mizzen.pilot.generate.mixer.use import Use
from mizzen.pilot.generate.protos import cidr, duration, metadata, pack

RAW = "raw_buffer"


@dataclass(frozen=True, slots=True)
class ChainMatch:
    """Which connections a filter chain takes; empty fields take all."""

    port: int = 0
    destinations: tuple[str, ...] = ()
    """CIDR ranges of the original destination."""
    sources: tuple[str, ...] = ()
    server_names: tuple[str, ...] = ()
    transport: str = ""
    protocols: tuple[str, ...] = ()

    def message(self) -> Any:
        match = listener_components_pb2.FilterChainMatch(
            prefix_ranges=[cidr(text) for text in self.destinations],
            source_prefix_ranges=[cidr(text) for text in self.sources],
            server_names=self.server_names,
            transport_protocol=self.transport,
            application_protocols=self.protocols,
        )
        if self.port:
            match.destination_port.value = self.port
        return match


ANY = ChainMatch()


@dataclass(frozen=True, slots=True)
class TcpInputs:
    """What decides a TCP proxy filter."""

    stat_prefix: str
    clusters: tuple[tuple[str, int], ...]
    """(cluster, weight); one or more."""
    idle_timeout: float | None = None
    """Seconds; None leaves Envoy's hour."""
    longest: float | None = None
    """Seconds after which a connection is closed, busy or not; None for never."""
    by_source: bool = False
    """Clients of one address go to one endpoint."""
    origin: tuple[str, str, str] | None = None
    """(kind, namespace, name) of the object that routes here."""
    mixer: Use | None = None
    guards: tuple[bytes, ...] = ()
    """Filters that say who may connect, serialized."""


@dataclass(frozen=True, slots=True)
class TcpChain:
    """A filter chain that proxies bytes."""

    match: ChainMatch
    tcp: TcpInputs
    name: str = ""
    ends_tls: bool = False
    """Clients show a certificate of the mesh."""
    gateway_tls: ServerTLSSettings | None = None
    """How a gateway ends TLS; None where it does not."""


def filters(inputs: TcpInputs, settings: MeshConfig) -> list[Any]:
    """The network filters."""
    use = inputs.mixer
    message = _proxy(inputs, settings)
    found = [listener_components_pb2.Filter(name="envoy.filters.network.tcp_proxy", typed_config=pack(message))]
    if use is not None and use.own:
        found.insert(0, listener_components_pb2.Filter(name=istio.FILTER, typed_config=pack(istio.tcp_client(use))))
    return [*(listener_components_pb2.Filter.FromString(each) for each in inputs.guards), *found]


def _proxy(inputs: TcpInputs, settings: MeshConfig) -> Any:
    message = tcp_proxy_pb2.TcpProxy(stat_prefix=inputs.stat_prefix, access_log=access_logs(settings))
    if len(inputs.clusters) == 1:
        message.cluster = inputs.clusters[0][0]
    else:
        for cluster, weight in inputs.clusters:
            message.weighted_clusters.clusters.add(name=cluster, weight=weight)
    if inputs.idle_timeout is not None:
        message.idle_timeout.CopyFrom(duration(inputs.idle_timeout))
    if inputs.longest is not None:
        message.max_downstream_connection_duration.CopyFrom(duration(inputs.longest))
    if inputs.by_source:
        message.hash_policy.add().source_ip.SetInParent()
    use = inputs.mixer
    if use is not None and not use.own and use.report_cluster:
        envoy.report_connections(message, use)
    return message


def chain(match: ChainMatch, parts: list[Any], name: str = "", origin: dict[str, str] | None = None) -> Any:
    """A filter chain."""
    message = listener_components_pb2.FilterChain(name=name, filters=parts)
    if match != ANY:
        message.filter_chain_match.CopyFrom(match.message())
    if origin:
        message.metadata.CopyFrom(metadata(origin))
    return message
