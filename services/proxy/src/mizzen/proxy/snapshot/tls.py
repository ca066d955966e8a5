"""Transport sockets to plans of TLS. What cannot be held to is refused: half a guard is none."""

from __future__ import annotations

import ssl
from functools import cache
from typing import Any, Final

from envoy.extensions.transport_sockets.tls.v3 import tls_pb2

from mizzen.proxy.engine.tls_plan import (
    PAIR_FILES,
    ClientTlsPlan,
    ServerTlsPlan,
    SocketMatch,
    SocketsPlan,
    TlsPlan,
    Version,
)
from mizzen.proxy.snapshot.result import Invalid, Notes, at
from mizzen.proxy.snapshot.tls_sources import file_name, secret_name
from mizzen.proxy.snapshot.tls_validation import Validation, validation
from mizzen.proxy.snapshot.values import seconds, type_name, unpack, wrapped

RAW_BUFFER: Final = "envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer"
DOWNSTREAM: Final = "envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext"
UPSTREAM: Final = "envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext"
MATCH_METADATA: Final = "envoy.transport_socket_match"
_VERSIONS: Final[dict[int, Version]] = {3: "1.2", 4: "1.3"}
_OLD_VERSIONS: Final = (1, 2)
"""TLS 1.0 and 1.1."""
_COMMON: Final = (
    "tls_params",
    "tls_certificates",
    "tls_certificate_sds_secret_configs",
    "validation_context",
    "validation_context_sds_secret_config",
    "combined_validation_context",
    "alpn_protocols",
)
_DOWNSTREAM: Final = (
    "common_tls_context",
    "require_client_certificate",
    "disable_stateless_session_resumption",
    # How sessions are kept is the library's affair, as is who has the last word on ciphers.
    "disable_stateful_session_resumption",
    "session_timeout",
    "full_scan_certs_on_sni_mismatch",
    "prefer_client_ciphers",
)
_MUST_NOT: Final = ("require_sni", "ocsp_staple_policy", "auto_host_sni", "auto_sni_san_validation")
"""Guards that this proxy does not have."""
_HANDSHAKE_SECONDS: Final = 15.0


def server_tls(chain: Any, notes: Notes) -> ServerTlsPlan | None:
    """Of a filter chain; None for plain text. Raises Invalid."""
    socket = chain.transport_socket
    if not chain.HasField("transport_socket") or type_name(socket.typed_config) == RAW_BUFFER:
        return None
    with at("transport_socket.typed_config"):
        message = unpack(socket.typed_config, tls_pb2.DownstreamTlsContext)
        _check_guards(message)
        notes.check(message, _DOWNSTREAM)
        common = _common(message.common_tls_context, notes)
        if not common.certificate:
            raise Invalid("common_tls_context.tls_certificate_sds_secret_configs", "is missing")
        requires = wrapped(message, "require_client_certificate", False)
        if requires and not common.roots:
            raise Invalid("common_tls_context", "a client certificate is required, but no roots to check it by")
        if (common.digests or common.key_digests) and not common.roots:
            raise Invalid("common_tls_context.validation_context.trusted_ca", "is needed beside the digests")
        limit = seconds(chain, "transport_socket_connect_timeout", _HANDSHAKE_SECONDS)
        return ServerTlsPlan(common, requires, limit, not message.disable_stateless_session_resumption)


def sockets(message: Any, options: Any | None, notes: Notes) -> SocketsPlan:
    """Of a cluster with these HttpProtocolOptions; raises Invalid."""
    matches = []
    for index, match in enumerate(message.transport_socket_matches):
        with at(f"transport_socket_matches[{index}]"):
            matches.append(SocketMatch(said(match.match), _client_tls(match.transport_socket, notes)))
    otherwise = None
    if message.HasField("transport_socket"):
        otherwise = _client_tls(message.transport_socket, notes)
    upstream = options.upstream_http_protocol_options if options is not None else None
    if upstream is None or not (otherwise or any(match.tls for match in matches)):
        return SocketsPlan(tuple(matches), otherwise)
    notes.check(upstream, ("auto_sni", "auto_san_validation"))
    return SocketsPlan(tuple(matches), otherwise, upstream.auto_sni, upstream.auto_san_validation)


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
        _check_guards(message)
        notes.check(message, ("common_tls_context", "sni", "max_session_keys", "enforce_rsa_key_usage"))
        return ClientTlsPlan(_common(message.common_tls_context, notes), message.sni)


def _check_guards(message: Any) -> None:
    for field, value in message.ListFields():
        if field.name in _MUST_NOT and value and getattr(value, "value", True):
            raise Invalid(field.name, "is not supported")


def _common(message: Any, notes: Notes) -> TlsPlan:
    with at("common_tls_context"):
        for field, _ in message.ListFields():
            if field.name not in _COMMON:
                raise Invalid(field.name, "is not supported; certificates and roots come by SDS or from files")
        checks = validation(message)
        return _parameters(message, checks, notes)


def _parameters(message: Any, checks: Validation, notes: Notes) -> TlsPlan:
    params = message.tls_params
    notes.check(params, ("tls_minimum_protocol_version", "tls_maximum_protocol_version", "cipher_suites"))
    lowest, highest = _versions(params, notes)
    return TlsPlan(
        certificate=_certificate(message),
        roots=checks.roots,
        names=checks.names,
        protocols=tuple(message.alpn_protocols),
        lowest=lowest,
        highest=highest,
        ciphers=_ciphers(params, notes),
        crl=checks.crl,
        only_leaf_crl=checks.only_leaf_crl,
        digests=checks.digests,
        key_digests=checks.key_digests,
    )


def _versions(params: Any, notes: Notes) -> tuple[Version, Version]:
    """The lowest and the highest; older ones than 1.2 are not spoken."""
    with at("tls_params"):
        lowest, highest = params.tls_minimum_protocol_version, params.tls_maximum_protocol_version
        if lowest in _OLD_VERSIONS:
            notes.add(f"{params.DESCRIPTOR.full_name}.tls_minimum_protocol_version")
        if highest in _OLD_VERSIONS:
            raise Invalid("tls_maximum_protocol_version", "must be TLSv1_2 or TLSv1_3")
        found = _VERSIONS.get(lowest, "1.2"), _VERSIONS.get(highest, "1.3")
        if found[0] > found[1]:
            raise Invalid("tls_minimum_protocol_version", "is above tls_maximum_protocol_version")
        return found


def _ciphers(params: Any, notes: Notes) -> tuple[str, ...]:
    """Those that the library knows; groups of equals (`[A|B]`) become a sequence."""
    asked = [name for item in params.cipher_suites for name in item.strip("[]").split("|")]
    known = tuple(name for name in asked if name in _known_ciphers())
    if asked and not known:
        raise Invalid("tls_params.cipher_suites", f"none is known: {', '.join(asked)}")
    for name in asked:
        if name not in known:
            notes.add(f"{params.DESCRIPTOR.full_name}.cipher_suites[{name}]")
    return known


@cache
def _known_ciphers() -> frozenset[str]:
    """Of TLS 1.2: those of 1.3 cannot be chosen from, and a context of them alone could not be made."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.set_ciphers("ALL")
    return frozenset(str(cipher["name"]) for cipher in context.get_ciphers() if cipher["protocol"] != "TLSv1.3")


def _certificate(message: Any) -> str:
    """The name of the secret; empty for none."""
    by_name, in_files = message.tls_certificate_sds_secret_configs, message.tls_certificates
    if len(by_name) + len(in_files) > 1:
        field = "tls_certificate_sds_secret_configs" if by_name else "tls_certificates"
        raise Invalid(field, "more than one certificate is not supported")
    if by_name:
        with at("tls_certificate_sds_secret_configs[0]"):
            return secret_name(by_name[0])
    if not in_files:
        return ""
    with at("tls_certificates[0]"):
        for field, _ in in_files[0].ListFields():
            if field.name not in ("certificate_chain", "private_key"):
                raise Invalid(field.name, "is not supported")
        chain, key = (file_name(in_files[0], field) for field in ("certificate_chain", "private_key"))
        return f"{PAIR_FILES}{chain}~{key}"
