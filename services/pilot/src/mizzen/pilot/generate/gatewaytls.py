"""How servers of gateways end TLS of their clients: certificates from files, credentials, or of the mesh."""

from __future__ import annotations

from typing import Any, Final

from envoy.config.core.v3 import base_pb2
from envoy.extensions.transport_sockets.tls.v3 import common_pb2, tls_pb2

from mizzen.api.gateway import ServerTLSMode, ServerTLSSettings, TLSProtocol
from mizzen.pilot.generate.protos import boolean, pack
from mizzen.pilot.generate.tls import BYTES, CERTIFICATE, PAIR_FILES, ROOTS, ROOTS_FILE, SOCKET, any_secret, expect
from mizzen.pilot.snapshot import credentials

_HTTP: Final = ("h2", "http/1.1")
_INSIST: Final = (ServerTLSMode.MUTUAL, ServerTLSMode.ISTIO_MUTUAL)
_VERSIONS: Final = {
    TLSProtocol.TLSV1_0: common_pb2.TlsParameters.TLSv1_0,
    TLSProtocol.TLSV1_1: common_pb2.TlsParameters.TLSv1_1,
    TLSProtocol.TLSV1_2: common_pb2.TlsParameters.TLSv1_2,
    TLSProtocol.TLSV1_3: common_pb2.TlsParameters.TLSv1_3,
}


def gateway_socket(settings: ServerTLSSettings, *, http: bool) -> Any:
    """The transport socket of a filter chain whose server is in any mode but PASSTHROUGH."""
    context = tls_pb2.DownstreamTlsContext(require_client_certificate=boolean(settings.mode in _INSIST))
    common = context.common_tls_context
    of_mesh = settings.mode is ServerTLSMode.ISTIO_MUTUAL
    common.alpn_protocols.extend(_HTTP if http or not of_mesh else (BYTES[0], *_HTTP))
    for name in _certificates(settings):
        common.tls_certificate_sds_secret_configs.append(any_secret(name))
    if settings.mode in credentials.ASK:
        _ask(common.combined_validation_context, settings)
    if not of_mesh:
        _parameters(common.tls_params, settings)
    return base_pb2.TransportSocket(name=SOCKET, typed_config=pack(context))


def _certificates(settings: ServerTLSSettings) -> tuple[str, ...]:
    if settings.mode is ServerTLSMode.ISTIO_MUTUAL:
        return (CERTIFICATE,)
    named = credentials.certificates(settings)
    if named:
        return named
    pairs = settings.tls_certificates or (settings,)
    return tuple(f"{PAIR_FILES}{pair.server_certificate}~{pair.private_key}" for pair in pairs)


def _roots(settings: ServerTLSSettings) -> str:
    if settings.mode is ServerTLSMode.ISTIO_MUTUAL:
        return ROOTS
    return credentials.authorities(settings) or ROOTS_FILE + settings.ca_certificates


def _ask(validation: Any, settings: ServerTLSSettings) -> None:
    """Ask clients for certificates, and say which ones are good."""
    validation.validation_context_sds_secret_config.CopyFrom(any_secret(_roots(settings)))
    default = validation.default_validation_context
    default.SetInParent()
    expect(default, settings.subject_alt_names)
    default.verify_certificate_spki.extend(settings.verify_certificate_spki)
    default.verify_certificate_hash.extend(settings.verify_certificate_hash)
    if settings.ca_crl:
        default.crl.filename = settings.ca_crl


def _parameters(params: Any, settings: ServerTLSSettings) -> None:
    params.tls_minimum_protocol_version = _VERSIONS.get(settings.min_protocol_version, params.TLSv1_2)
    if settings.max_protocol_version in _VERSIONS:
        params.tls_maximum_protocol_version = _VERSIONS[settings.max_protocol_version]
    params.cipher_suites.extend(dict.fromkeys(settings.cipher_suites))
