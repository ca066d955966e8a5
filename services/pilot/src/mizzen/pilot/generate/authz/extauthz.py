"""The filters that ask an authorizer, for policies with action CUSTOM. Source: Istio's Pilot, Envoy's ext_authz."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from envoy.config.core.v3 import base_pb2, config_source_pb2, grpc_service_pb2, http_uri_pb2
from envoy.extensions.filters.http.ext_authz.v3 import ext_authz_pb2 as http_pb2
from envoy.extensions.filters.network.ext_authz.v3 import ext_authz_pb2 as network_pb2
from envoy.type.matcher.v3 import metadata_pb2, string_pb2, value_pb2
from envoy.type.v3 import http_status_pb2

from mizzen.pilot.base.extauthz import ExtAuthz
from mizzen.pilot.generate import names
from mizzen.pilot.generate.protos import duration
from mizzen.pilot.snapshot.authorizers import obstacle
from mizzen.pilot.snapshot.service import Service

HTTP_FILTER: Final = "envoy.filters.http.ext_authz"
NETWORK_FILTER: Final = "envoy.filters.network.ext_authz"
RULE_PREFIX: Final = "istio-ext-authz"
"""How the shadow rules are called whose match makes the filter ask."""
STAT_PREFIX: Final = "istio_ext_authz_"
"""Of those rules, and of what they leave for the filter."""
_MATCHED: Final = f"{STAT_PREFIX}shadow_effective_policy_id"


class Authorizer(NamedTuple):
    """A provider and the cluster by which the proxy reaches it."""

    provider: ExtAuthz
    host: str
    cluster: str


class Unusable(NamedTuple):
    """Why nobody can be asked: then what the policies match is refused."""

    reason: str


def resolve(provider: ExtAuthz, services: Mapping[str, tuple[Service, ...]]) -> Authorizer | Unusable:
    """Find the provider's service among the mesh's, by host."""
    reason = obstacle(provider, services)
    host = provider.service.rpartition("/")[2]
    return Unusable(reason) if reason else Authorizer(provider, host, names.outbound(provider.port, "", host))


def http_filter(authorizer: Authorizer, asked: str) -> Any:
    """The configuration of the HTTP filter; `asked` is the name of the RBAC filter before it."""
    provider = authorizer.provider
    message = http_pb2.ExtAuthz(
        transport_api_version=config_source_pb2.ApiVersion.V3,
        failure_mode_allow=provider.fail_open,
        filter_enabled_metadata=_asks(asked),
        clear_route_cache=provider.clear_route_cache,
    )
    if provider.status_on_error:
        message.status_on_error.CopyFrom(http_status_pb2.HttpStatus(code=provider.status_on_error))
    if provider.body is not None:
        message.with_request_body.max_request_bytes = provider.body.max_bytes
        message.with_request_body.allow_partial_message = provider.body.allow_partial
        message.with_request_body.pack_as_bytes = provider.body.pack_as_bytes
    if not provider.http:
        message.grpc_service.CopyFrom(_grpc(authorizer))
        return message
    message.http_service.CopyFrom(_http(authorizer))
    if provider.request_headers:
        message.allowed_headers.CopyFrom(_names(provider.request_headers))
    return message


def network_filter(authorizer: Authorizer, asked: str) -> Any:
    """The configuration of the TCP filter; None for a provider that is asked over HTTP, which knows no connections."""
    if authorizer.provider.http:
        return None
    return network_pb2.ExtAuthz(
        stat_prefix="tcp.",
        grpc_service=_grpc(authorizer),
        failure_mode_allow=authorizer.provider.fail_open,
        transport_api_version=config_source_pb2.ApiVersion.V3,
        filter_enabled_metadata=_asks(asked),
    )


def _grpc(authorizer: Authorizer) -> Any:
    # `|` must not stand in an authority, and a cluster's name is what Envoy would send otherwise.
    target = grpc_service_pb2.GrpcService.EnvoyGrpc(
        cluster_name=authorizer.cluster, authority=authorizer.cluster.replace("|", "_.")
    )
    return grpc_service_pb2.GrpcService(envoy_grpc=target, timeout=duration(authorizer.provider.timeout))


def _http(authorizer: Authorizer) -> Any:
    provider = authorizer.provider
    service = http_pb2.HttpService(
        path_prefix=provider.path_prefix,
        server_uri=http_uri_pb2.HttpUri(
            uri=f"http://{authorizer.host}", cluster=authorizer.cluster, timeout=duration(provider.timeout)
        ),
    )
    for name, value in provider.additional_headers:
        service.authorization_request.headers_to_add.append(base_pb2.HeaderValue(key=name, value=value))
    response = service.authorization_response
    for field, headers in (
        (response.allowed_upstream_headers, provider.to_upstream),
        (response.allowed_client_headers, provider.to_downstream_on_deny),
        (response.allowed_client_headers_on_success, provider.to_downstream_on_allow),
    ):
        if headers:
            field.CopyFrom(_names(headers))
    return service


def _names(patterns: Iterable[str]) -> Any:
    return string_pb2.ListStringMatcher(patterns=map(_name, patterns))


def _name(pattern: str) -> Any:
    if pattern.startswith("*"):
        return string_pb2.StringMatcher(suffix=pattern[1:], ignore_case=True)
    if pattern.endswith("*"):
        return string_pb2.StringMatcher(prefix=pattern[:-1], ignore_case=True)
    return string_pb2.StringMatcher(exact=pattern, ignore_case=True)


def _asks(asked: str) -> Any:
    """Only what one of the shadow rules has matched."""
    return metadata_pb2.MetadataMatcher(
        filter=asked,
        path=[metadata_pb2.MetadataMatcher.PathSegment(key=_MATCHED)],
        value=value_pb2.ValueMatcher(string_match=string_pb2.StringMatcher(prefix=RULE_PREFIX)),
    )
