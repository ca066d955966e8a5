"""Envoy's ext_authz filters to plans. What would be asked or answered otherwise than it says is refused."""

from __future__ import annotations

from typing import Any, Final

from mizzen.proxy.engine.ext_authz_plan import BodyPlan, ExtAuthzPlan, GrpcCall, HttpCall
from mizzen.proxy.engine.match_plan import MetadataMatch, StringMatch
from mizzen.proxy.snapshot.matchers import NotEvaluable, metadata_match, string_match
from mizzen.proxy.snapshot.result import Invalid, Notes, at
from mizzen.proxy.snapshot.values import seconds

_READ: Final = (
    "grpc_service",
    "http_service",
    "failure_mode_allow",
    "status_on_error",
    "transport_api_version",
    "with_request_body",
    "filter_enabled_metadata",
    "allowed_headers",
    "disallowed_headers",
    "stat_prefix",
    # Routes are looked up after the verdict, whether this says so or not.
    "clear_route_cache",
)
_READ_TCP: Final = (
    "stat_prefix",
    "grpc_service",
    "failure_mode_allow",
    "transport_api_version",
    "filter_enabled_metadata",
)
_DECIDES: Final = ("filter_enabled", "deny_at_disable")
"""Whether the filter asks at all: read otherwise it would be a hole."""
_DEFAULT_SECONDS: Final = 0.2
"""Envoy's, where a gRPC service states none."""
_FORBIDDEN: Final = 403


def http_filter(message: Any, notes: Notes) -> ExtAuthzPlan:
    """The HTTP filter; raises Invalid."""
    notes.check(message, (*_READ, *_DECIDES))
    for field in _DECIDES:
        if message.HasField(field):
            raise Invalid(field, "is not supported, and without it others would get in")
    body = message.with_request_body if message.HasField("with_request_body") else None
    allowed = message.allowed_headers if message.HasField("allowed_headers") else None
    return ExtAuthzPlan(
        call=_call(message),
        fail_open=message.failure_mode_allow,
        status_on_error=message.status_on_error.code or _FORBIDDEN,
        condition=_condition(message),
        body=BodyPlan(body.max_request_bytes, body.allow_partial_message, body.pack_as_bytes) if body else None,
        allowed_headers=None if allowed is None else _patterns(allowed, "allowed_headers"),
        disallowed_headers=_patterns(message.disallowed_headers, "disallowed_headers"),
    )


def network_filter(message: Any, notes: Notes) -> ExtAuthzPlan:
    """The TCP filter; raises Invalid."""
    notes.check(message, _READ_TCP)
    return ExtAuthzPlan(
        call=_grpc(message.grpc_service), fail_open=message.failure_mode_allow, condition=_condition(message)
    )


def _call(message: Any) -> GrpcCall | HttpCall:
    kind = message.WhichOneof("services")
    if kind == "grpc_service":
        return _grpc(message.grpc_service)
    if kind == "http_service":
        with at("http_service"):
            return _http(message.http_service)
    raise Invalid("services", "needs one of grpc_service, http_service")


def _grpc(service: Any) -> GrpcCall:
    with at("grpc_service"):
        if service.WhichOneof("target_specifier") != "envoy_grpc" or not service.envoy_grpc.cluster_name:
            raise Invalid("envoy_grpc.cluster_name", "is missing")
        if service.initial_metadata:
            raise Invalid("initial_metadata", "is not supported")
        target = service.envoy_grpc
        return GrpcCall(target.cluster_name, seconds(service, "timeout", _DEFAULT_SECONDS), target.authority)


def _http(service: Any) -> HttpCall:
    if not service.server_uri.cluster:
        raise Invalid("server_uri.cluster", "is missing")
    asked, answered = service.authorization_request, service.authorization_response
    client = answered.allowed_client_headers if answered.HasField("allowed_client_headers") else None
    with at("authorization_response"):
        for field in ("allowed_upstream_headers_to_append", "dynamic_metadata_from_headers"):
            if answered.HasField(field):
                raise Invalid(field, "is not supported")
        return HttpCall(
            cluster=service.server_uri.cluster,
            timeout=seconds(service.server_uri, "timeout", _DEFAULT_SECONDS),
            path_prefix=service.path_prefix,
            headers=tuple((each.key, each.value) for each in asked.headers_to_add),
            to_upstream=_patterns(answered.allowed_upstream_headers, "allowed_upstream_headers"),
            to_client=None if client is None else _patterns(client, "allowed_client_headers"),
            to_client_on_success=_patterns(
                answered.allowed_client_headers_on_success, "allowed_client_headers_on_success"
            ),
        )


def _condition(message: Any) -> MetadataMatch | None:
    if not message.HasField("filter_enabled_metadata"):
        return None
    with at("filter_enabled_metadata"):
        try:
            return metadata_match(message.filter_enabled_metadata)
        except NotEvaluable as error:
            raise Invalid("", f"{error} is not supported") from None


def _patterns(message: Any, field: str) -> tuple[StringMatch, ...]:
    found = []
    for index, pattern in enumerate(message.patterns):
        with at(f"{field}.patterns[{index}]"):
            try:
                found.append(string_match(pattern))
            except NotEvaluable as error:
                raise Invalid("", f"{error} is not supported") from None
    return tuple(found)
