"""Transport sockets to plans of TLS. What cannot be held to is refused: half a guard is none."""

from __future__ import annotations

from typing import Any, Final, Literal

from envoy.extensions.transport_sockets.tls.v3 import tls_pb2

from mizzen.proxy.engine.tls_plan import (
    ClientTlsPlan,
    NameMatch,
    ServerTlsPlan,
    SocketMatch,
    SocketsPlan,
    TlsPlan,
    Version,
)
from mizzen.proxy.snapshot.matchers import string_match
from mizzen.proxy.snapshot.result import Invalid, Notes, at
from mizzen.proxy.snapshot.values import seconds, type_name, unpack, wrapped

RAW_BUFFER: Final = "envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer"
DOWNSTREAM: Final = "envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext"
UPSTREAM: Final = "envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext"
MATCH_METADATA: Final = "envoy.transport_socket_match"
_HTTP2: Final = ("h2", "istio-h2")
"""What this proxy does not speak yet, and so does not offer."""
_VERSIONS: Final[dict[int, Version]] = {3: "1.2", 4: "1.3"}
_KINDS: Final[dict[int, Literal["URI", "DNS"]]] = {2: "DNS", 3: "URI"}
"""envoy...SubjectAltNameMatcher.SanType."""
_COMMON: Final = (
    "tls_params",
    "tls_certificate_sds_secret_configs",
    "validation_context_sds_secret_config",
    "combined_validation_context",
    "alpn_protocols",
)
_HANDSHAKE_SECONDS: Final = 15.0


def server_tls(chain: Any, notes: Notes) -> ServerTlsPlan | None:
    """Of a filter chain; None for plain text. Raises Invalid."""
    socket = chain.transport_socket
    if not chain.HasField("transport_socket") or type_name(socket.typed_config) == RAW_BUFFER:
        return None
    with at("transport_socket.typed_config"):
        message = unpack(socket.typed_config, tls_pb2.DownstreamTlsContext)
        notes.check(message, ("common_tls_context", "require_client_certificate"))
        common = _common(message.common_tls_context, notes)
        if not common.certificate:
            raise Invalid("common_tls_context.tls_certificate_sds_secret_configs", "is missing")
        requires = wrapped(message, "require_client_certificate", False)
        if requires and not common.roots:
            raise Invalid("common_tls_context", "a client certificate is required, but no roots to check it by")
        limit = seconds(chain, "transport_socket_connect_timeout", _HANDSHAKE_SECONDS)
        return ServerTlsPlan(common, requires, limit)


def sockets(message: Any, notes: Notes) -> SocketsPlan:
    """Of a cluster; raises Invalid."""
    matches = []
    for index, match in enumerate(message.transport_socket_matches):
        with at(f"transport_socket_matches[{index}]"):
            matches.append(SocketMatch(said(match.match), _client_tls(match.transport_socket, notes)))
    otherwise = None
    if message.HasField("transport_socket"):
        otherwise = _client_tls(message.transport_socket, notes)
    return SocketsPlan(tuple(matches), otherwise)


def said(struct: Any) -> tuple[tuple[str, str], ...]:
    """What a Struct of texts says, in the order of its names."""
    return tuple(sorted((name, str(value.string_value)) for name, value in struct.fields.items()))


def _client_tls(socket: Any, notes: Notes) -> ClientTlsPlan | None:
    kind = type_name(socket.typed_config)
    if kind == RAW_BUFFER:
        return None
    if kind != UPSTREAM:
        raise Invalid("transport_socket", f"{socket.name or kind} is not supported")
    with at("transport_socket.typed_config"):
        message = unpack(socket.typed_config, tls_pb2.UpstreamTlsContext)
        notes.check(message, ("common_tls_context", "sni", "max_session_keys"))
        return ClientTlsPlan(_common(message.common_tls_context, notes), message.sni)


def _common(message: Any, notes: Notes) -> TlsPlan:
    with at("common_tls_context"):
        for field, _ in message.ListFields():
            if field.name not in _COMMON:
                raise Invalid(field.name, "is not supported; certificates and roots come by SDS")
        roots, names = _validation(message)
        params = message.tls_params
        notes.check(
            params, ("tls_minimum_protocol_version", "tls_maximum_protocol_version", "cipher_suites", "ecdh_curves")
        )
        if params.ecdh_curves:
            notes.add(f"{params.DESCRIPTOR.full_name}.ecdh_curves")
        return TlsPlan(
            certificate=_secret(message.tls_certificate_sds_secret_configs),
            roots=roots,
            names=names,
            protocols=tuple(name for name in message.alpn_protocols if name not in _HTTP2),
            lowest=_VERSIONS.get(params.tls_minimum_protocol_version, "1.2"),
            highest=_VERSIONS.get(params.tls_maximum_protocol_version, "1.3"),
            ciphers=tuple(params.cipher_suites),
        )


def _secret(configs: Any) -> str:
    if len(configs) > 1:
        raise Invalid("tls_certificate_sds_secret_configs", "more than one certificate is not supported")
    return str(configs[0].name) if configs else ""


def _validation(message: Any) -> tuple[str, tuple[NameMatch, ...]]:
    """Name of the roots, and the names that peers may have."""
    kind = message.WhichOneof("validation_context_type")
    if kind is None:
        return "", ()
    if kind == "validation_context_sds_secret_config":
        return str(message.validation_context_sds_secret_config.name), ()
    with at(kind):
        combined = message.combined_validation_context
        default = combined.default_validation_context
        for field, _ in default.ListFields():
            if field.name != "match_typed_subject_alt_names":
                raise Invalid(f"default_validation_context.{field.name}", "is not supported")
        names = tuple(_name(each) for each in default.match_typed_subject_alt_names)
        return str(combined.validation_context_sds_secret_config.name), names


def _name(message: Any) -> NameMatch:
    kind = _KINDS.get(message.san_type)
    if kind is None:
        raise Invalid("default_validation_context.match_typed_subject_alt_names.san_type", "must be URI or DNS")
    return NameMatch(kind, string_match(message.matcher))
