"""Transport sockets of TLS, with certificates by SDS: of mutual TLS inside of the mesh, and as DestinationRules say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.core.v3 import base_pb2, config_source_pb2, grpc_service_pb2
from envoy.extensions.transport_sockets.raw_buffer.v3 import raw_buffer_pb2
from envoy.extensions.transport_sockets.tls.v3 import common_pb2, secret_pb2, tls_pb2

from mizzen.api.destinationrule import ClientTLSMode, ClientTLSSettings
from mizzen.pilot.generate.protos import boolean, duration, pack, struct
from mizzen.pilot.snapshot import clientcredentials, credentials

SOCKET: Final = "envoy.transport_sockets.tls"
CERTIFICATE: Final = "default"
ROOTS: Final = "ROOTCA"
SDS_CLUSTER: Final = "sds-grpc"
"""Where a stock Envoy finds its agent; our own proxy has its secrets from its agent anyway."""
PAIR_FILES: Final = "file-cert:"
"""`file-cert:CERTIFICATE~KEY` names what the agent reads from these files."""
ROOTS_FILE: Final = "file-root:"
SYSTEM_ROOTS: Final = "system"
"""In place of a file: the authorities that the agent's operating system trusts."""
MODE: Final = "tlsMode"
MUTUAL: Final = "istio"
HTTP: Final = ("istio-http/1.0", "istio-http/1.1", "istio-h2")
"""What clients in the mesh say (ALPN) when they will speak HTTP inside of TLS."""
BYTES: Final = ("istio-peer-exchange", "istio")
"""What they say when they will not, or do not know."""
_CIPHERS: Final = (
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "AES256-GCM-SHA384",
    "AES128-GCM-SHA256",
)
_URI: Final = common_pb2.SubjectAltNameMatcher.SanType.URI
_DNS: Final = common_pb2.SubjectAltNameMatcher.SanType.DNS
_Versions: Final = common_pb2.TlsParameters


def server_socket(*, http: bool, trust_domains: Sequence[str]) -> Any:
    """Ends TLS of clients that prove an identity of the mesh, under any of its names."""
    context = tls_pb2.DownstreamTlsContext(require_client_certificate=boolean(True))
    common = context.common_tls_context
    common.alpn_protocols.extend(("h2", "http/1.1") if http else (BYTES[0], "h2", "http/1.1"))
    common.tls_params.tls_minimum_protocol_version = _Versions.TLSv1_2
    common.tls_params.tls_maximum_protocol_version = _Versions.TLSv1_3
    common.tls_params.cipher_suites.extend(_CIPHERS)
    _add_secrets(common)
    expected = common.combined_validation_context.default_validation_context.match_typed_subject_alt_names
    for trust_domain in trust_domains:
        matcher = expected.add()
        matcher.san_type = _URI
        matcher.matcher.prefix = f"spiffe://{trust_domain}/"
    return base_pb2.TransportSocket(name=SOCKET, typed_config=pack(context))


def client_socket(server_name: str, identities: Sequence[str], *, http2: bool) -> Any:
    """Begins TLS to one of these identities; to any of the mesh when none is known."""
    context = tls_pb2.UpstreamTlsContext(sni=server_name)
    common = context.common_tls_context
    common.alpn_protocols.extend((*BYTES, "h2") if http2 else BYTES)
    common.tls_params.tls_minimum_protocol_version = _Versions.TLSv1_2
    common.tls_params.tls_maximum_protocol_version = _Versions.TLSv1_3
    _add_secrets(common)
    expect(common.combined_validation_context.default_validation_context, identities)
    return base_pb2.TransportSocket(name=SOCKET, typed_config=pack(context))


def rule_socket(settings: ClientTLSSettings, *, http2: bool) -> Any:
    """Begins TLS as a DestinationRule in mode SIMPLE or MUTUAL says, with a credential or files of the agent."""
    context = tls_pb2.UpstreamTlsContext(sni=settings.sni)
    common = context.common_tls_context
    common.tls_params.SetInParent()
    if http2:
        common.alpn_protocols.append("h2")
    if settings.mode is ClientTLSMode.MUTUAL:
        files = f"{PAIR_FILES}{settings.client_certificate}~{settings.private_key}"
        shown = clientcredentials.shown(settings) or files
        common.tls_certificate_sds_secret_configs.append(any_secret(shown))
    if not settings.insecure_skip_verify:
        files = ROOTS_FILE + (settings.ca_certificates or SYSTEM_ROOTS)
        roots = clientcredentials.believed(settings) or files
        common.combined_validation_context.validation_context_sds_secret_config.CopyFrom(any_secret(roots))
        expected = common.combined_validation_context.default_validation_context
        expected.SetInParent()
        if settings.ca_crl:
            expected.crl.filename = settings.ca_crl
        expect(expected, settings.subject_alt_names)
    return base_pb2.TransportSocket(name=SOCKET, typed_config=pack(context))


def by_capability(socket: Any) -> list[Any]:
    """The socket for endpoints that say they take mutual TLS, plain text for all others."""
    plain = base_pb2.TransportSocket(
        name="envoy.transport_sockets.raw_buffer", typed_config=pack(raw_buffer_pb2.RawBuffer())
    )
    match = cluster_pb2.Cluster.TransportSocketMatch
    return [
        match(name="tlsMode-istio", match=struct({MODE: MUTUAL}), transport_socket=socket),
        match(name="tlsMode-disabled", match=struct({}), transport_socket=plain),
    ]


def expect(validation: Any, names: Sequence[str]) -> None:
    """One of these names must be in the peer's certificate."""
    for name in names:
        matcher = validation.match_typed_subject_alt_names.add()
        matcher.san_type = _URI if "://" in name else _DNS
        matcher.matcher.exact = name


def _add_secrets(common: Any) -> None:
    common.tls_certificate_sds_secret_configs.append(agent_secret(CERTIFICATE))
    common.combined_validation_context.validation_context_sds_secret_config.CopyFrom(agent_secret(ROOTS))
    common.combined_validation_context.default_validation_context.SetInParent()


def agent_secret(name: str) -> Any:
    """A secret that the proxy's agent has: its own, or what is in files."""
    agent = grpc_service_pb2.GrpcService(envoy_grpc=grpc_service_pb2.GrpcService.EnvoyGrpc(cluster_name=SDS_CLUSTER))
    source = config_source_pb2.ConfigSource(
        api_config_source=config_source_pb2.ApiConfigSource(
            api_type=config_source_pb2.ApiConfigSource.GRPC,
            transport_api_version=config_source_pb2.ApiVersion.V3,
            set_node_on_first_message_only=True,
            grpc_services=[agent],
        ),
        initial_fetch_timeout=duration(0),
        resource_api_version=config_source_pb2.ApiVersion.V3,
    )
    return secret_pb2.SdsSecretConfig(name=name, sds_config=source)


def any_secret(name: str) -> Any:
    """The agent's, or Pilot's own: one that may not exist, for which no listener shall wait for ever."""
    if not credentials.is_credential(name):
        return agent_secret(name)
    source = config_source_pb2.ConfigSource(
        ads=config_source_pb2.AggregatedConfigSource(), resource_api_version=config_source_pb2.ApiVersion.V3
    )
    return secret_pb2.SdsSecretConfig(name=name, sds_config=source)
