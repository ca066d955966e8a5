"""`extensionProviders` of the mesh config: those that AuthorizationPolicies name. Source: Istio's MeshConfig."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, ClassVar, Final

from pydantic import AfterValidator, ConfigDict, Field

from mizzen.api.types import Bool, Duration, HeaderName, Model, Port, UInt32
from mizzen.pilot.base.extauthz import DEFAULT_SECONDS, BodySettings, ExtAuthz

_PATTERN: Final = re.compile(r"\*?[^*]+|[^*]+\*")


def _status(text: str) -> str:
    if text and not (text.isdecimal() and 200 <= int(text) < 600):
        raise ValueError(f"must be an HTTP status such as '503', not {text!r}")
    return text


def _path_prefix(text: str) -> str:
    if text and not text.startswith("/"):
        raise ValueError(f"must begin with /, not {text!r}")
    return text


def _service(text: str) -> str:
    namespace, slash, host = text.rpartition("/")
    if not host or "/" in namespace or (slash and not namespace):
        raise ValueError(f"must be <host> or <namespace>/<host>, not {text!r}")
    return text


def _patterns(names: tuple[str, ...]) -> tuple[str, ...]:
    for name in names:
        if not _PATTERN.fullmatch(name):
            raise ValueError(f"must be a header's name, or begin or end with *, not {name!r}")
    return names


Headers = Annotated[tuple[str, ...], AfterValidator(_patterns)]


class RequestBody(Model):
    """`includeRequestBodyInCheck`."""

    max_request_bytes: Annotated[UInt32, Field(gt=0)]
    allow_partial_message: Bool = False
    pack_as_bytes: Bool = False

    def plain(self) -> BodySettings:
        """As generation reads it."""
        return BodySettings(self.max_request_bytes, self.allow_partial_message, self.pack_as_bytes)


class GrpcAuthorizer(Model):
    """`envoyExtAuthzGrpc`."""

    service: Annotated[str, AfterValidator(_service)]
    port: Port
    timeout: Duration | None = None
    fail_open: Bool = False
    status_on_error: Annotated[str, AfterValidator(_status)] = ""
    include_request_body_in_check: RequestBody | None = None
    clear_route_cache: Bool = False

    def plain(self, name: str) -> dict[str, Any]:
        """Fields of ExtAuthz."""
        body = self.include_request_body_in_check
        return {
            "name": name,
            "service": self.service,
            "port": self.port,
            "timeout": DEFAULT_SECONDS if self.timeout is None else self.timeout.total_seconds(),
            "fail_open": self.fail_open,
            "status_on_error": int(self.status_on_error or 0),
            "body": None if body is None else body.plain(),
            "clear_route_cache": self.clear_route_cache,
        }


class HttpAuthorizer(GrpcAuthorizer):
    """`envoyExtAuthzHttp`."""

    path_prefix: Annotated[str, AfterValidator(_path_prefix)] = ""
    include_headers_in_check: Headers = ()
    """The former name of the next one."""
    include_request_headers_in_check: Headers = ()
    include_additional_headers_in_check: dict[HeaderName, str] = Field(default_factory=dict)
    headers_to_upstream_on_allow: Headers = ()
    headers_to_downstream_on_deny: Headers = ()
    headers_to_downstream_on_allow: Headers = ()

    def plain(self, name: str) -> dict[str, Any]:
        return {
            **super().plain(name),
            "http": True,
            "path_prefix": self.path_prefix,
            "request_headers": self.include_request_headers_in_check or self.include_headers_in_check,
            "additional_headers": tuple(sorted(self.include_additional_headers_in_check.items())),
            "to_upstream": self.headers_to_upstream_on_allow,
            "to_downstream_on_deny": self.headers_to_downstream_on_deny,
            "to_downstream_on_allow": self.headers_to_downstream_on_allow,
        }


class ExtensionProvider(Model):
    """One entry. Providers of telemetry stand in the same list: they are passed over."""

    model_config = ConfigDict(extra="ignore")
    one_of: ClassVar[tuple[tuple[str, ...], ...]] = (("envoy_ext_authz_grpc", "envoy_ext_authz_http"),)

    name: Annotated[str, Field(min_length=1)]
    envoy_ext_authz_grpc: GrpcAuthorizer | None = None
    envoy_ext_authz_http: HttpAuthorizer | None = None


def unique(providers: tuple[ExtensionProvider, ...]) -> tuple[ExtensionProvider, ...]:
    """The providers themselves; ValueError when two have one name."""
    seen: set[str] = set()
    for provider in providers:
        if provider.name in seen:
            raise ValueError(f"two providers have the name {provider.name!r}")
        seen.add(provider.name)
    return providers


def authorizers(providers: Iterable[ExtensionProvider]) -> tuple[ExtAuthz, ...]:
    """Those that policies with action CUSTOM may name."""
    stated: Mapping[str, GrpcAuthorizer | None] = {
        each.name: each.envoy_ext_authz_grpc or each.envoy_ext_authz_http for each in providers
    }
    return tuple(ExtAuthz(**each.plain(name)) for name, each in stated.items() if each is not None)
