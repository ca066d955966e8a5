"""Entries of Envoy's access logs as attributes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from envoy.config.core.v3.base_pb2 import RequestMethod
from envoy.data.accesslog.v3 import accesslog_pb2 as pb

from mizzen.attributes.http import head_attributes
from mizzen.attributes.identity import connection_attributes
from mizzen.attributes.values import Value
from mizzen.mixer.server.envoy.authorization import ERROR_CODE, ERROR_MESSAGE
from mizzen.mixer.server.envoy.facts import instant, length, put_address, put_claims, stated

_AUTHZ_FILTER = "envoy.filters.http.ext_authz"
_RBAC_FILTER = "envoy.filters.http.rbac"
_FLAGS = {
    "failed_local_healthcheck": "LH",
    "no_healthy_upstream": "UH",
    "upstream_request_timeout": "UT",
    "local_reset": "LR",
    "upstream_remote_reset": "UR",
    "upstream_connection_failure": "UF",
    "upstream_connection_termination": "UC",
    "upstream_overflow": "UO",
    "no_route_found": "NR",
    "delay_injected": "DI",
    "fault_injected": "FI",
    "rate_limited": "RL",
    "unauthorized_details": "UAEX",
    "rate_limit_service_error": "RLSE",
    "downstream_connection_termination": "DC",
    "upstream_retry_limit_exceeded": "URX",
    "stream_idle_timeout": "SI",
    "invalid_envoy_request_headers": "IH",
    "downstream_protocol_error": "DPE",
    "upstream_max_stream_duration_reached": "UMSDR",
    "response_from_cache_filter": "RFCF",
    "no_filter_config_found": "NFCF",
    "duration_timeout": "DT",
    "upstream_protocol_error": "UPE",
    "no_cluster_found": "NC",
    "overload_manager": "OM",
    "dns_resolution_failure": "DF",
    "downstream_remote_reset": "DR",
}


def reporter_attributes(node_id: str) -> dict[str, Value]:
    """Who reports, from the id of an Istio proxy's node (`sidecar~10.1.1.1~a-1.default~default.svc.cluster.local`)."""
    parts = node_id.split("~")
    return {"context.reporter.uid": f"kubernetes://{parts[2]}"} if len(parts) == 4 and parts[2] else {}


def http_attributes(entry: pb.HTTPAccessLogEntry, reporter: Mapping[str, Value]) -> dict[str, Value]:
    """Raises ValueError for a custom tag that is not of its attribute's type, and for impossible times."""
    common, request, response = entry.common_properties, entry.request, entry.response
    attributes = dict(reporter)
    start, taken = _times(common)
    attributes |= {
        "request.time": start,
        "response.time": start + taken,
        "response.duration": taken,
        "request.size": request.request_body_bytes,
        "request.total_size": request.request_headers_bytes + request.request_body_bytes,
        "response.size": response.response_body_bytes,
        "response.total_size": response.response_headers_bytes + response.response_body_bytes,
        # Envoy gives no code to requests it refused itself before it had one.
        "response.code": response.response_code.value or 500,
        "response.headers": {**response.response_headers, **response.response_trailers},
        "context.proxy_error_code": _flags(common.response_flags),
    }
    if request.request_id:
        attributes["request.id"] = request.request_id
    for headers in (response.response_trailers, response.response_headers):
        if "grpc-status" in headers:
            attributes["response.grpc_status"] = headers["grpc-status"]
            attributes["response.grpc_message"] = headers.get("grpc-message", "")
            break
    _put_common(attributes, common)
    return attributes | head_attributes(_headers(request))


def tcp_attributes(entry: pb.TCPAccessLogEntry, reporter: Mapping[str, Value]) -> dict[str, Value]:
    """All but the bytes since the last entry of this connection; raises ValueError as `http_attributes` does."""
    common, connection = entry.common_properties, entry.connection_properties
    attributes = dict(reporter)
    start, taken = _times(common)
    ended = common.access_log_type in (pb.AccessLogType.NotSet, pb.AccessLogType.TcpConnectionEnd)
    opened = common.access_log_type == pb.AccessLogType.TcpUpstreamConnected
    attributes |= {
        "context.protocol": "tcp",
        "context.time": start + taken,
        "context.proxy_error_code": _flags(common.response_flags),
        "connection.event": "close" if ended else "open" if opened else "continue",
        "connection.received.bytes_total": connection.received_bytes,
        "connection.sent.bytes_total": connection.sent_bytes,
    }
    if common.stream_id:
        attributes["connection.id"] = common.stream_id
    if ended:
        attributes["connection.duration"] = taken
    _put_common(attributes, common)
    return attributes


def _times(common: pb.AccessLogCommon) -> tuple[Any, Any]:
    """When it began and how long it took."""
    taken = common.duration if common.HasField("duration") else common.time_to_last_downstream_tx_byte
    try:
        return instant(common.start_time), length(taken)
    except OverflowError as error:
        raise ValueError(f"start_time or duration is out of range: {error}") from error


def _put_common(attributes: dict[str, Value], common: pb.AccessLogCommon) -> None:
    peer = common.tls_properties.peer_certificate_properties.subject_alt_name
    own = common.tls_properties.local_certificate_properties.subject_alt_name
    principal, shown = (next((name.uri for name in names if name.uri), "") for names in (peer, own))
    attributes.update(connection_attributes(principal, shown, common.tls_properties.tls_sni_hostname))
    put_address(attributes, "origin", common.downstream_remote_address)
    put_address(attributes, "source", common.downstream_remote_address, port="source.port")
    _put_destination(attributes, common)
    _put_findings(attributes, common.metadata.filter_metadata)
    attributes.update(stated(common.custom_tags))


def _put_destination(attributes: dict[str, Value], common: pb.AccessLogCommon) -> None:
    """From the name of the cluster, which in a mesh says the direction and the service (`outbound|80|v1|host`)."""
    direction, _, rest = common.upstream_cluster.partition("|")
    uid = attributes.get("context.reporter.uid")
    if direction == "inbound":
        put_address(attributes, "destination", common.downstream_local_address, port="destination.port")
    else:
        put_address(attributes, "destination", common.upstream_remote_address, port="destination.port")
    if direction not in ("inbound", "outbound"):
        return
    attributes["context.reporter.kind"] = direction
    if isinstance(uid, str):
        side = "destination" if direction == "inbound" else "source"
        attributes[f"{side}.uid"] = uid
        attributes[f"{side}.namespace"] = uid.rpartition(".")[2]
    host = rest.rpartition("|")[2]
    if host:
        attributes["destination.service.host"] = attributes["destination.service"] = host
        name, _, domain = host.partition(".")
        namespace, found, _ = domain.partition(".svc")
        if found:
            attributes["destination.service.name"] = name
            attributes["destination.service.namespace"] = namespace
            attributes["destination.service.uid"] = f"istio://{namespace}/services/{name}"


def _put_findings(attributes: dict[str, Value], filters: Mapping[str, Any]) -> None:
    """What filters left about the request: claims, the reason of a denial, and what RBAC would have done."""
    put_claims(attributes, filters)
    if _AUTHZ_FILTER in filters:
        fields = filters[_AUTHZ_FILTER].fields
        if ERROR_CODE in fields:
            attributes[ERROR_CODE] = int(fields[ERROR_CODE].number_value)
            attributes[ERROR_MESSAGE] = fields[ERROR_MESSAGE].string_value
    if _RBAC_FILTER in filters:
        fields = filters[_RBAC_FILTER].fields
        for name, field in (
            ("response_code", "shadow_engine_result"),
            ("effective_policy_id", "shadow_effective_policy_id"),
        ):
            if field in fields and fields[field].string_value:
                attributes[f"rbac.permissive.{name}"] = fields[field].string_value


def _headers(request: pb.HTTPRequestProperties) -> dict[str, str]:
    """The headers that Envoy was told to log, and those that it logs under names of its own."""
    headers = dict(request.request_headers)
    method = "" if request.request_method == 0 else RequestMethod.Name(request.request_method)
    for name, value in (
        (":method", method),
        (":scheme", request.scheme),
        (":authority", request.authority),
        (":path", request.original_path or request.path),
        ("user-agent", request.user_agent),
        ("referer", request.referer),
        ("x-forwarded-for", request.forwarded_for),
        ("x-request-id", request.request_id),
    ):
        if value:
            headers.setdefault(name, value)
    headers.pop("x-istio-attributes", None)
    return headers


def _flags(flags: pb.ResponseFlags) -> str:
    """`UF,URX`, as %RESPONSE_FLAGS% writes them; `-` where there is none."""
    return ",".join(_FLAGS[field.name] for field, _ in flags.ListFields() if field.name in _FLAGS) or "-"
