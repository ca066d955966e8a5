"""How a cluster speaks to its endpoints: protocol and transport."""

from __future__ import annotations

from typing import Any

from envoy.config.core.v3 import base_pb2, proxy_protocol_pb2
from envoy.extensions.transport_sockets.proxy_protocol.v3 import upstream_proxy_protocol_pb2
from envoy.extensions.transport_sockets.raw_buffer.v3 import raw_buffer_pb2
from envoy.extensions.upstreams.http.v3 import http_protocol_options_pb2

from mizzen.api.destinationrule import (
    ClientTLSSettings,
    ConnectionPoolSettings,
    H2UpgradePolicy,
    ProxyProtocolVersion,
)
from mizzen.pilot.base.protocol import Protocol
from mizzen.pilot.generate.hcm import preserve_case
from mizzen.pilot.generate.protos import duration, pack
from mizzen.pilot.generate.tls import rule_socket
from mizzen.pilot.snapshot.clientcredentials import ORIGINATED
from mizzen.pilot.snapshot.destinationrule import Policy

HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"


def protocol_options(
    cluster: Any,
    protocol: Protocol,
    settings: ConnectionPoolSettings | None,
    *,
    tls: ClientTLSSettings | None = None,
    upgrades: bool = True,
    idle: float | None = None,
) -> None:
    """HTTP version, limits of one connection, and what TLS (`originated`) takes from requests; `idle` in seconds.

    Without `upgrades`, HTTP/2 is for ports that declare it.
    """
    options = http_protocol_options_pb2.HttpProtocolOptions()
    http = settings.http if settings is not None else None
    upgrade = upgrades and http is not None and http.h2_upgrade_policy is H2UpgradePolicy.UPGRADE
    if protocol is Protocol.UNSUPPORTED or (http is not None and http.use_client_protocol):
        chosen: Any = options.use_downstream_protocol_config
        chosen.http2_protocol_options.SetInParent()
        _header_case(chosen)
    elif protocol.is_http2 or (upgrade and protocol is Protocol.HTTP):
        chosen = options.explicit_http_config
        chosen.http2_protocol_options.SetInParent()
    else:
        chosen = options.explicit_http_config
        _header_case(chosen)
    if idle is not None:
        options.common_http_protocol_options.idle_timeout.CopyFrom(duration(idle))
    if settings is not None:
        _connection_limits(options, settings)
        if chosen.HasField("http2_protocol_options"):
            _http2(chosen.http2_protocol_options, settings)
    if tls is not None:
        _go_by_host(options, tls)
    cluster.typed_extension_protocol_options[HTTP_OPTIONS].CopyFrom(pack(options))


def _go_by_host(options: Any, tls: ClientTLSSettings) -> None:
    """The host that a request names is asked for, and has to be proved, where the rule states no other."""
    if tls.sni:
        return
    options.upstream_http_protocol_options.auto_sni = True
    if not tls.subject_alt_names and not tls.insecure_skip_verify:
        options.upstream_http_protocol_options.auto_san_validation = True


def originated(policy: Policy, *, credentials: bool) -> ClientTLSSettings | None:
    """The TLS that a rule has the client begin; one who gets no `credentials` leaves rules that name some alone."""
    tls = policy.tls
    if tls is None or tls.mode not in ORIGINATED or (tls.credential_name and not credentials):
        return None
    return tls


def transport(cluster: Any, policy: Policy, tls: ClientTLSSettings | None, protocol: Protocol) -> None:
    """TLS (`originated`), and the PROXY protocol around it."""
    socket = rule_socket(tls, http2=protocol.is_http2) if tls is not None else None
    if policy.proxy_protocol is not None:
        socket = _proxy_protocol(policy.proxy_protocol.version, socket)
    if socket is not None:
        cluster.transport_socket.CopyFrom(socket)


def _header_case(chosen: Any) -> None:
    chosen.http_protocol_options.header_key_format.CopyFrom(preserve_case())


def _connection_limits(options: Any, settings: ConnectionPoolSettings) -> None:
    common = options.common_http_protocol_options
    if settings.http is not None and settings.http.idle_timeout is not None:
        common.idle_timeout.CopyFrom(duration(settings.http.idle_timeout))
    if settings.http is not None and settings.http.max_requests_per_connection:
        common.max_requests_per_connection.value = settings.http.max_requests_per_connection
    if settings.tcp is not None and settings.tcp.max_connection_duration is not None:
        common.max_connection_duration.CopyFrom(duration(settings.tcp.max_connection_duration))


def _http2(message: Any, settings: ConnectionPoolSettings) -> None:
    http = settings.http
    if http is None:
        return
    if http.max_concurrent_streams:
        message.max_concurrent_streams.value = http.max_concurrent_streams
    alive = http.http2_keep_alive
    if alive is not None and alive.timeout is not None:
        if alive.interval is not None:
            message.connection_keepalive.interval.CopyFrom(duration(alive.interval))
        message.connection_keepalive.timeout.CopyFrom(duration(alive.timeout))


def _proxy_protocol(version: ProxyProtocolVersion, inner: Any | None) -> Any:
    if inner is None:
        inner = base_pb2.TransportSocket(
            name="envoy.transport_sockets.raw_buffer", typed_config=pack(raw_buffer_pb2.RawBuffer())
        )
    versions = proxy_protocol_pb2.ProxyProtocolConfig
    chosen = versions.V2 if version is ProxyProtocolVersion.V2 else versions.V1
    wrapped = upstream_proxy_protocol_pb2.ProxyProtocolUpstreamTransport(
        config=versions(version=chosen), transport_socket=inner
    )
    return base_pb2.TransportSocket(name="envoy.transport_sockets.upstream_proxy_protocol", typed_config=pack(wrapped))
