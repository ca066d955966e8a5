"""The HTTP connection manager."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from envoy.config.accesslog.v3 import accesslog_pb2
from envoy.config.core.v3 import base_pb2, protocol_pb2
from envoy.config.listener.v3 import listener_components_pb2
from envoy.extensions.filters.http.cors.v3 import cors_pb2
from envoy.extensions.filters.http.fault.v3 import fault_pb2
from envoy.extensions.filters.http.grpc_web.v3 import grpc_web_pb2
from envoy.extensions.filters.http.router.v3 import router_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm_pb2
from envoy.extensions.http.header_formatters.preserve_case.v3 import preserve_case_pb2
from envoy.extensions.request_id.uuid.v3 import uuid_pb2

from mizzen.pilot.base.meshconfig import MeshConfig, PathNormalization
from mizzen.pilot.generate.accesslog import access_logs
from mizzen.pilot.generate.mixer import envoy, istio
from mizzen.pilot.generate.mixer.use import Side, Use
from mizzen.pilot.generate.protos import ads, boolean, duration, extension, pack
from mizzen.pilot.snapshot.proxy import Proxy

FAULT_FILTER = "envoy.filters.http.fault"
CORS_FILTER = "envoy.filters.http.cors"
SERVER_NAME = "istio-envoy"
"""What the proxy calls itself to those who call it."""
REASON_HEADER = "x-mesh-reason"
"""Why a proxy answered itself; our proxy tells it by this header's name in `local_reply_config`."""
MANAGER_FILTER = "envoy.filters.network.http_connection_manager"


@dataclass(frozen=True, slots=True)
class HttpInputs:
    """What decides an HTTP connection manager, besides its routes and the mesh's settings."""

    stat_prefix: str
    server_name: str = ""
    """What the server header says; empty leaves Envoy's own name."""
    edge: bool = False
    """Peers are clients from outside: their address counts, their internal headers do not."""
    grpc_web: bool = False
    accept_http_10: bool = False
    idle_timeout: float = 0.0
    mixer: Use | None = None
    guards: tuple[bytes, ...] = ()
    """Filters that say who may come in, serialized."""
    names_client: bool = False
    """The application learns from x-forwarded-client-cert who calls."""


def manager(inputs: HttpInputs, routes: Any, settings: MeshConfig) -> Any:
    """The network filter; `routes` is the name of a route configuration of RDS, or the configuration itself."""
    message = hcm_pb2.HttpConnectionManager(
        codec_type=hcm_pb2.HttpConnectionManager.AUTO,
        stat_prefix=inputs.stat_prefix,
        server_name=inputs.server_name,
        via=_via(inputs) if settings.via_header else "",
        stream_idle_timeout=duration(0),
        use_remote_address=boolean(inputs.edge),
        **_path_handling(settings.path_normalization),
        access_log=[*access_logs(settings), *_reports(inputs.mixer)],
        http_filters=_filters(inputs),
        upgrade_configs=[hcm_pb2.HttpConnectionManager.UpgradeConfig(upgrade_type="websocket")],
        request_id_extension=hcm_pb2.RequestIDExtension(
            typed_config=pack(uuid_pb2.UuidRequestIdConfig(use_request_id_for_trace_sampling=boolean(True)))
        ),
    )
    message.http_protocol_options.header_key_format.CopyFrom(preserve_case())
    message.http_protocol_options.accept_http_10 = inputs.accept_http_10
    if settings.reason_header:
        message.local_reply_config.CopyFrom(_reasons())
    if inputs.idle_timeout:
        message.common_http_protocol_options.idle_timeout.CopyFrom(duration(inputs.idle_timeout))
    if inputs.edge or inputs.names_client:
        _name_client(message, edge=inputs.edge)
    if isinstance(routes, str):
        message.rds.route_config_name = routes
        message.rds.config_source.CopyFrom(ads())
    else:
        message.route_config.CopyFrom(routes)
    return listener_components_pb2.Filter(name=MANAGER_FILTER, typed_config=pack(message))


def _name_client(message: Any, *, edge: bool) -> None:
    """What x-forwarded-client-cert says; an edge believes nobody's, and tells of the whole certificate."""
    message.forward_client_cert_details = message.SANITIZE_SET if edge else message.APPEND_FORWARD
    details = message.set_current_client_cert_details
    details.cert = edge
    details.subject.value = details.uri = details.dns = True


def _path_handling(normalization: PathNormalization) -> dict[str, Any]:
    """What is done to a path before routes and policies see it. Source: Istio's ProxyPathNormalization."""
    decodes = normalization == "DECODE_AND_MERGE_SLASHES"
    manager = hcm_pb2.HttpConnectionManager
    return {
        "normalize_path": boolean(normalization != "NONE"),
        "merge_slashes": decodes or normalization == "MERGE_SLASHES",
        "path_with_escaped_slashes_action": manager.UNESCAPE_AND_FORWARD if decodes else manager.KEEP_UNCHANGED,
    }


def _via(inputs: HttpInputs) -> str:
    """A name by role: one of its own for each proxy would make each proxy's listeners its own."""
    role = "gateway" if inputs.edge else "inbound" if inputs.server_name else "outbound"
    return f"1.1 mizzen-{role}"


def _reasons() -> Any:
    """Answers of the proxy's own say why: a stock Envoy's in the words of its access log, our proxy's in a sentence."""
    every = accesslog_pb2.ComparisonFilter(op=accesslog_pb2.ComparisonFilter.GE)
    every.value.default_value, every.value.runtime_key = 100, REASON_HEADER  # a key must be; nobody sets it
    added = base_pb2.HeaderValueOption(
        header=base_pb2.HeaderValue(key=REASON_HEADER, value="%RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS%"),
        append_action=base_pb2.HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD,
    )
    mapper = hcm_pb2.ResponseMapper(
        filter=accesslog_pb2.AccessLogFilter(status_code_filter=accesslog_pb2.StatusCodeFilter(comparison=every)),
        headers_to_add=[added],
    )
    return hcm_pb2.LocalReplyConfig(mappers=[mapper])


def http_protocols(proxy: Proxy) -> tuple[str, ...]:
    """What the HTTP inspector calls plaintext HTTP that the proxy takes; the rest is better off as TCP."""
    return ("http/1.0", "http/1.1", "h2c") if proxy.accept_http_10 else ("http/1.1", "h2c")


def preserve_case() -> Any:
    """HTTP/1 header names keep the case they were sent in."""
    return protocol_pb2.Http1ProtocolOptions.HeaderKeyFormat(
        stateful_formatter=extension(
            "envoy.http.stateful_header_formatters.preserve_case",
            preserve_case_pb2.PreserveCaseFormatterConfig(),
        )
    )


def _filters(inputs: HttpInputs) -> list[Any]:
    return [
        *(hcm_pb2.HttpFilter.FromString(each) for each in inputs.guards),
        *([_filter("envoy.filters.http.grpc_web", grpc_web_pb2.GrpcWeb())] if inputs.grpc_web else []),
        *_policy(inputs.mixer),
        _filter(FAULT_FILTER, fault_pb2.HTTPFault()),
        _filter(CORS_FILTER, cors_pb2.Cors()),
        _filter("envoy.filters.http.router", router_pb2.Router()),
    ]


def _filter(name: str, config: Any, *, disabled: bool = False) -> Any:
    return hcm_pb2.HttpFilter(name=name, typed_config=pack(config), disabled=disabled)


def _policy(use: Use | None) -> list[Any]:
    """Before everything that changes requests. A stock Envoy's sidecar asks only for what arrives."""
    if use is None:
        return []
    if use.own:
        return [_filter(istio.FILTER, istio.http_client(use))]
    if not use.checks or use.side is Side.OUTBOUND:
        return []
    # Routes that say what a request is about enable it. They come after listeners: until then nobody could answer.
    return [_filter(envoy.AUTHORIZATION_FILTER, envoy.authorization(use), disabled=True)]


def _reports(use: Use | None) -> list[Any]:
    """A stock Envoy reports by its access log; our own proxy's filter reports itself."""
    return [envoy.http_log(use)] if use is not None and not use.own and use.http_reports else []
