"""Per-route settings of HTTP filters: faults and cross-origin rules."""

from __future__ import annotations

from typing import Any

from envoy.config.core.v3 import base_pb2
from envoy.extensions.filters.common.fault.v3 import fault_pb2 as common_fault_pb2
from envoy.extensions.filters.http.cors.v3 import cors_pb2
from envoy.extensions.filters.http.fault.v3 import fault_pb2
from envoy.type.matcher.v3 import string_pb2

from mizzen.api.virtualservice import CorsPolicy, HTTPFaultInjection, Percent, StringMatch, UnmatchedPreflights
from mizzen.pilot.generate.match import text
from mizzen.pilot.generate.protos import boolean, duration, percent

GRPC_STATUS = {
    name: number
    for number, name in enumerate(
        (
            "OK",
            "CANCELLED",
            "UNKNOWN",
            "INVALID_ARGUMENT",
            "DEADLINE_EXCEEDED",
            "NOT_FOUND",
            "ALREADY_EXISTS",
            "PERMISSION_DENIED",
            "RESOURCE_EXHAUSTED",
            "FAILED_PRECONDITION",
            "ABORTED",
            "OUT_OF_RANGE",
            "UNIMPLEMENTED",
            "INTERNAL",
            "UNAVAILABLE",
            "DATA_LOSS",
            "UNAUTHENTICATED",
        )
    )
}


def fault(injection: HTTPFaultInjection) -> Any | None:
    """The fault filter's settings; None when nothing of it can be expressed."""
    message = fault_pb2.HTTPFault()
    delay, abort = injection.delay, injection.abort
    if delay is not None and delay.fixed_delay is not None:
        share = delay.percentage or Percent(value=delay.percent or 0)
        message.delay.CopyFrom(
            common_fault_pb2.FaultDelay(fixed_delay=duration(delay.fixed_delay), percentage=percent(share.value))
        )
    if abort is not None:
        share = abort.percentage or Percent()
        if abort.http_status is not None:
            message.abort.http_status = abort.http_status
            message.abort.percentage.CopyFrom(percent(share.value))
        elif abort.grpc_status is not None and abort.grpc_status in GRPC_STATUS:
            message.abort.grpc_status = GRPC_STATUS[abort.grpc_status]
            message.abort.percentage.CopyFrom(percent(share.value))
    return message if message.HasField("delay") or message.HasField("abort") else None


def cors(policy: CorsPolicy) -> Any:
    """The CORS filter's settings."""
    message = cors_pb2.CorsPolicy(
        allow_origin_string_match=_origins(policy),
        allow_methods=",".join(policy.allow_methods),
        allow_headers=",".join(policy.allow_headers),
        expose_headers=",".join(policy.expose_headers),
        filter_enabled=base_pb2.RuntimeFractionalPercent(default_value=percent(100)),
        forward_not_matching_preflights=boolean(policy.unmatched_preflights is not UnmatchedPreflights.IGNORE),
    )
    if policy.max_age is not None:
        message.max_age = str(int(policy.max_age.total_seconds()))
    if policy.allow_credentials is not None:
        message.allow_credentials.CopyFrom(boolean(policy.allow_credentials))
    return message


def _origins(policy: CorsPolicy) -> list[Any]:
    if policy.allow_origins:
        return [text(origin) for origin in policy.allow_origins]
    any_origin = string_pb2.StringMatcher(safe_regex={"regex": ".*"})
    return [any_origin if origin == "*" else text(StringMatch(exact=origin)) for origin in policy.allow_origin]
