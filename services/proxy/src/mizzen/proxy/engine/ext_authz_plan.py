"""Plans of the filters that ask an authorizer: `envoy.extensions.filters.http.ext_authz.v3`, and the TCP one."""

from __future__ import annotations

from dataclasses import dataclass

from mizzen.proxy.engine.match_plan import MetadataMatch, StringMatch


@dataclass(frozen=True, slots=True)
class GrpcCall:
    """`envoy.service.auth.v3.Authorization/Check`."""

    cluster: str
    timeout: float
    """Seconds."""
    authority: str = ""


@dataclass(frozen=True, slots=True)
class HttpCall:
    """The request itself, without its body unless that is asked for, to a server that answers 200 for yes.

    Headers of its answer are copied as the patterns say; names are compared ignoring case.
    """

    cluster: str
    timeout: float
    path_prefix: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    """Added to the question."""
    to_upstream: tuple[StringMatch, ...] = ()
    to_client: tuple[StringMatch, ...] | None = None
    """Of a denial; None for all."""
    to_client_on_success: tuple[StringMatch, ...] = ()


@dataclass(frozen=True, slots=True)
class BodyPlan:
    """The question waits for the request's body."""

    max_bytes: int
    allow_partial: bool = False
    """A longer body is cut in the question; else the request is refused with 413."""
    as_bytes: bool = False


@dataclass(frozen=True, slots=True)
class ExtAuthzPlan:
    """One filter."""

    call: GrpcCall | HttpCall
    fail_open: bool = False
    status_on_error: int = 403
    condition: MetadataMatch | None = None
    """Whether it asks at all: on what a filter before it found out."""
    body: BodyPlan | None = None
    allowed_headers: tuple[StringMatch, ...] | None = None
    """Of the request, in the question; None: all over gRPC, none over HTTP but those that are always there."""
    disallowed_headers: tuple[StringMatch, ...] = ()
