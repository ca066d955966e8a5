"""Listeners in the abstract: what is bound, which chains it has. The inputs from which the messages are made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from envoy.config.core.v3 import base_pb2
from envoy.config.listener.v3 import listener_pb2

from mizzen.api.gateway import ServerTLSSettings
from mizzen.pilot.base.meshconfig import MeshConfig
from mizzen.pilot.generate import listenerfilters, tcp
from mizzen.pilot.generate.accesslog import unmatched_logs
from mizzen.pilot.generate.encoded import Encoded, encode
from mizzen.pilot.generate.gatewaytls import gateway_socket
from mizzen.pilot.generate.hcm import HttpInputs, manager
from mizzen.pilot.generate.inboundroute import InboundRoute, inbound_route
from mizzen.pilot.generate.protos import address, boolean, duration, provenance
from mizzen.pilot.generate.tcp import ANY, ChainMatch, TcpChain, TcpInputs
from mizzen.pilot.generate.tls import server_socket

INBOUND = base_pb2.INBOUND
OUTBOUND = base_pb2.OUTBOUND
HANDSHAKE_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class HttpChain:
    """A filter chain that speaks HTTP; `routes` is a name of RDS or an inbound route."""

    match: ChainMatch
    http: HttpInputs
    routes: str | InboundRoute
    name: str = ""
    origin: tuple[str, str, str] | None = None
    """(kind, namespace, name) of the object that asks for it."""
    ends_tls: bool = False
    """Clients show a certificate of the mesh."""
    gateway_tls: ServerTLSSettings | None = None
    """How a gateway ends TLS; None where it does not."""


@dataclass(frozen=True, slots=True)
class ListenerInputs:
    """What decides a listener."""

    name: str
    address: str
    port: int
    direction: int
    chains: tuple[HttpChain | TcpChain, ...]
    settings: MeshConfig
    default: TcpChain | None = None
    """Takes what no chain matches."""
    bind: bool = True
    """False: no socket of its own; connections are handed over by the capturing listener."""
    capture: bool = False
    """Hands connections to the listener of their original destination."""
    original_dst: bool = False
    """Finds the original destination itself, for its chains to match (inbound)."""
    transparent: bool = False
    """Captures by TPROXY, which leaves the client's address as it is."""
    additional: tuple[str, ...] = ()
    """More addresses of the same listener."""
    log_unmatched: bool = False


def listener(inputs: ListenerInputs) -> Encoded:
    """The Listener message."""
    message = listener_pb2.Listener(
        name=inputs.name,
        address=address(inputs.address, inputs.port),
        traffic_direction=inputs.direction,
        filter_chains=[_chain(chain, inputs.settings) for chain in inputs.chains],
    )
    for other in inputs.additional:
        message.additional_addresses.add(address=address(other, inputs.port))
    if inputs.default is not None:
        message.default_filter_chain.CopyFrom(_chain(inputs.default, inputs.settings))
    if inputs.bind:
        message.max_connections_to_accept_per_socket_event.value = 1
    else:
        message.bind_to_port.CopyFrom(boolean(False))
    if inputs.capture:
        message.use_original_dst.CopyFrom(boolean(True))
    if inputs.transparent:
        message.transparent.CopyFrom(boolean(True))
    _add_filters(message, inputs)
    if inputs.log_unmatched:
        message.access_log.extend(unmatched_logs(inputs.settings))
    return encode(inputs.name, message)


def _add_filters(message: Any, inputs: ListenerInputs) -> None:
    if inputs.original_dst:
        message.listener_filters.append(listenerfilters.original_dst())
        if inputs.transparent:
            message.listener_filters.append(listenerfilters.original_src())
    message.listener_filters.extend(listenerfilters.inspectors(chain.match for chain in inputs.chains))
    if message.listener_filters:
        # Unset it would be 15 s; 0 waits for the first bytes without limit.
        guesses = inputs.direction == INBOUND or any(chain.match.protocols for chain in inputs.chains)
        limit = inputs.settings.protocol_detection_timeout if guesses else 0.0
        message.listener_filters_timeout.CopyFrom(duration(limit))
        message.continue_on_listener_filters_timeout = True


def forward(cluster: str, match: ChainMatch = ANY, name: str = "", idle_timeout: float = 0.0) -> TcpChain:
    """A chain that sends bytes to one cluster; an idle timeout of 0 leaves Envoy's own."""
    return TcpChain(match, TcpInputs(cluster, ((cluster, 1),), idle_timeout=idle_timeout or None), name)


def _chain(chain: HttpChain | TcpChain, settings: MeshConfig) -> Any:
    stated = chain.tcp.origin if isinstance(chain, TcpChain) else chain.origin
    origin = provenance(*stated) if stated is not None else None
    if isinstance(chain, TcpChain):
        parts = tcp.filters(chain.tcp, settings)
    else:
        routes = chain.routes if isinstance(chain.routes, str) else inbound_route(chain.routes)
        parts = [manager(chain.http, routes, settings)]
    message = tcp.chain(chain.match, parts, chain.name, origin)
    http = isinstance(chain, HttpChain)
    if chain.gateway_tls is not None:
        message.transport_socket.CopyFrom(gateway_socket(chain.gateway_tls, http=http))
    elif chain.ends_tls:
        message.transport_socket.CopyFrom(server_socket(http=http, trust_domains=settings.trust_domains))
    if message.HasField("transport_socket"):
        message.transport_socket_connect_timeout.CopyFrom(duration(HANDSHAKE_SECONDS))
    return message
