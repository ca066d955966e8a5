"""A stock Envoy asks with `ext_authz` and tells with its gRPC access logs; see Mixer's server for what those carry."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from envoy.config.accesslog.v3 import accesslog_pb2
from envoy.config.core.v3 import config_source_pb2, grpc_service_pb2
from envoy.data.accesslog.v3 import accesslog_pb2 as data_pb2
from envoy.extensions.access_loggers.grpc.v3 import als_pb2
from envoy.extensions.filters.http.ext_authz.v3 import ext_authz_pb2
from envoy.type.tracing.v3 import custom_tag_pb2

from mizzen.pilot.generate.mixer.attributes import Attributes, texts
from mizzen.pilot.generate.mixer.use import Use
from mizzen.pilot.generate.protos import duration, pack

AUTHORIZATION_FILTER = "envoy.filters.http.ext_authz"
JWT_FILTER = "envoy.filters.http.jwt_authn"
LOG_NAME = "mixer"
CHECK_SECONDS = 5.0
FLUSH_SECONDS = 1.0
REPORT_SECONDS = 10.0
"""Between reports on a TCP connection that stays open, as in Istio's client."""
UNAVAILABLE = 503
_ALWAYS = ("content-type", "traceparent", "x-b3-traceid", "x-client-trace-id", "x-forwarded-proto")
"""Request headers of the default attributes; those that Envoy logs under names of its own are not among them."""
_GRPC = ("grpc-message", "grpc-status")


def authorization(use: Use) -> Any:
    """Configuration of the HTTP filter."""
    found = ext_authz_pb2.ExtAuthz(
        grpc_service=_service(use.check_cluster, CHECK_SECONDS),
        transport_api_version=config_source_pb2.ApiVersion.V3,
        failure_mode_allow=use.fail_open,
        include_tls_session=True,
        metadata_context_namespaces=[JWT_FILTER],
        stat_prefix=LOG_NAME,
    )
    found.status_on_error.code = UNAVAILABLE
    return found


def authorized(attributes: Attributes, use: Use | None = None) -> Any:
    """The configuration of a route or virtual host: attributes, and the quotas that every request is charged.

    Envoy cannot tell by attributes which requests a quota is for, so rules with a match are left out.
    """
    extensions = texts(attributes)
    for resource in use.quotas if use is not None else ():
        for quota in (q for rule in resource.spec.rules if not rule.match for q in rule.quotas):
            key = f"quota/{quota.quota}"
            extensions[key] = str(int(extensions.get(key, "0")) + quota.charge)
    return ext_authz_pb2.ExtAuthzPerRoute(check_settings=ext_authz_pb2.CheckSettings(context_extensions=extensions))


def http_log(use: Use) -> Any:
    """Reports of requests."""
    responses = tuple(dict.fromkeys((*_GRPC, *use.response_headers)))
    log = als_pb2.HttpGrpcAccessLogConfig(
        common_config=_common(use),
        additional_request_headers_to_log=tuple(dict.fromkeys((*_ALWAYS, *use.request_headers))),
        additional_response_headers_to_log=responses,
        additional_response_trailers_to_log=responses,
    )
    return accesslog_pb2.AccessLog(name="envoy.access_loggers.http_grpc", typed_config=pack(log))


def tcp_log(use: Use) -> Any:
    """Reports of connections."""
    log = als_pb2.TcpGrpcAccessLogConfig(common_config=_common(use))
    return accesslog_pb2.AccessLog(name="envoy.access_loggers.tcp_grpc", typed_config=pack(log))


def report_connections(proxy: Any, use: Use) -> None:
    """Make a TcpProxy report its connections when they open, meanwhile and at their end; other logs stay at the end."""
    for log in proxy.access_log:
        log.filter.log_type_filter.types.append(data_pb2.AccessLogType.TcpConnectionEnd)
    proxy.access_log.append(tcp_log(use))
    proxy.access_log_options.flush_access_log_on_connected = True
    proxy.access_log_options.access_log_flush_interval.CopyFrom(duration(REPORT_SECONDS))


def _common(use: Use) -> Any:
    return als_pb2.CommonGrpcAccessLogConfig(
        log_name=LOG_NAME,
        transport_api_version=config_source_pb2.ApiVersion.V3,
        grpc_service=_service(use.report_cluster),
        buffer_flush_interval=duration(FLUSH_SECONDS),
        custom_tags=_tags(texts((*use.attributes, *use.service)).items()),
    )


def _tags(values: Iterable[tuple[str, str]]) -> list[Any]:
    return [
        custom_tag_pb2.CustomTag(tag=name, literal=custom_tag_pb2.CustomTag.Literal(value=value))
        for name, value in values
    ]


def _service(cluster: str, seconds: float = 0.0) -> Any:
    service = grpc_service_pb2.GrpcService(envoy_grpc=grpc_service_pb2.GrpcService.EnvoyGrpc(cluster_name=cluster))
    if seconds:
        service.timeout.CopyFrom(duration(seconds))
    return service
