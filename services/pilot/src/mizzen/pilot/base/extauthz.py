"""Who is asked for a verdict by policies with action CUSTOM: providers of Istio's MeshConfig."""

from __future__ import annotations

from dataclasses import dataclass

DEFAULT_SECONDS = 600.0
"""Istio's time-out of a question where none is stated."""


@dataclass(frozen=True, slots=True)
class BodySettings:
    """How much of a request's body goes with the question."""

    max_bytes: int
    allow_partial: bool = False
    """A longer body is cut; else it is refused with 413."""
    pack_as_bytes: bool = False


@dataclass(frozen=True, slots=True)
class ExtAuthz:
    """A service that is asked over gRPC (`envoy.service.auth.v3.Authorization`) or over HTTP."""

    name: str
    service: str
    """`host`, or `namespace/host` where several namespaces declare it."""
    port: int
    http: bool = False
    timeout: float = DEFAULT_SECONDS
    fail_open: bool = False
    status_on_error: int = 0
    """What a request is answered when there was no verdict; 0: 403."""
    body: BodySettings | None = None
    clear_route_cache: bool = False
    path_prefix: str = ""
    """Before the path that is asked for; HTTP only, like all below. In lists of headers `a*` and `*a` are patterns."""
    request_headers: tuple[str, ...] = ()
    additional_headers: tuple[tuple[str, str], ...] = ()
    to_upstream: tuple[str, ...] = ()
    to_downstream_on_deny: tuple[str, ...] = ()
    to_downstream_on_allow: tuple[str, ...] = ()
