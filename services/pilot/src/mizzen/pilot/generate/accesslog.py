"""Access logs to a file, in Istio's formats."""

from __future__ import annotations

import json
from typing import Any

from envoy.config.accesslog.v3 import accesslog_pb2
from envoy.config.core.v3 import substitution_format_string_pb2
from envoy.extensions.access_loggers.file.v3 import file_pb2

from mizzen.pilot.base.meshconfig import MeshConfig
from mizzen.pilot.generate.protos import pack, struct

JSON_FIELDS = {
    "start_time": "%START_TIME%",
    "route_name": "%ROUTE_NAME%",
    "method": "%REQ(:METHOD)%",
    "path": "%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%",
    "protocol": "%PROTOCOL%",
    "response_code": "%RESPONSE_CODE%",
    "response_flags": "%RESPONSE_FLAGS%",
    "response_code_details": "%RESPONSE_CODE_DETAILS%",
    "connection_termination_details": "%CONNECTION_TERMINATION_DETAILS%",
    "upstream_transport_failure_reason": "%UPSTREAM_TRANSPORT_FAILURE_REASON%",
    "bytes_received": "%BYTES_RECEIVED%",
    "bytes_sent": "%BYTES_SENT%",
    "duration": "%DURATION%",
    "upstream_service_time": "%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)%",
    "x_forwarded_for": "%REQ(X-FORWARDED-FOR)%",
    "user_agent": "%REQ(USER-AGENT)%",
    "request_id": "%REQ(X-REQUEST-ID)%",
    "authority": "%REQ(:AUTHORITY)%",
    "upstream_host": "%UPSTREAM_HOST%",
    "upstream_cluster": "%UPSTREAM_CLUSTER_RAW%",
    "upstream_local_address": "%UPSTREAM_LOCAL_ADDRESS%",
    "downstream_local_address": "%DOWNSTREAM_LOCAL_ADDRESS%",
    "downstream_remote_address": "%DOWNSTREAM_REMOTE_ADDRESS%",
    "requested_server_name": "%REQUESTED_SERVER_NAME%",
}
"""Istio's JSON keys and what each logs."""

_TEXT_ORDER = (
    "[{start_time}]",
    '"{method} {path} {protocol}"',
    "{response_code}",
    "{response_flags}",
    "{response_code_details}",
    "{connection_termination_details}",
    '"{upstream_transport_failure_reason}"',
    "{bytes_received}",
    "{bytes_sent}",
    "{duration}",
    "{upstream_service_time}",
    '"{x_forwarded_for}"',
    '"{user_agent}"',
    '"{request_id}"',
    '"{authority}"',
    '"{upstream_host}"',
    "{upstream_cluster}",
    "{upstream_local_address}",
    "{downstream_local_address}",
    "{downstream_remote_address}",
    "{requested_server_name}",
    "{route_name}",
)
TEXT_FORMAT = " ".join(_TEXT_ORDER).format(**JSON_FIELDS) + "\n"
"""Istio's default line."""


def access_logs(settings: MeshConfig) -> list[Any]:
    """The access logs of every listener: one file, or none when the mesh names no file."""
    if not settings.access_log_file:
        return []
    log = file_pb2.FileAccessLog(path=settings.access_log_file, log_format=_format(settings))
    return [accesslog_pb2.AccessLog(name="envoy.access_loggers.file", typed_config=pack(log))]


def unmatched_logs(settings: MeshConfig) -> list[Any]:
    """The same for connections that no filter chain takes, which only the listener itself can log."""
    logs = access_logs(settings)
    for log in logs:
        log.filter.response_flag_filter.flags.append("NR")
    return logs


def _format(settings: MeshConfig) -> Any:
    if settings.access_log_encoding == "JSON":
        fields = json.loads(settings.access_log_format) if settings.access_log_format else JSON_FIELDS
        return substitution_format_string_pb2.SubstitutionFormatString(json_format=struct(fields))
    text = settings.access_log_format or TEXT_FORMAT
    return substitution_format_string_pb2.SubstitutionFormatString(
        text_format_source={"inline_string": text if text.endswith("\n") else text + "\n"}
    )
