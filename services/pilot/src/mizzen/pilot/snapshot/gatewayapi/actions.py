"""What a rule does, as a route of a VirtualService."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from mizzen.api import virtualservice as vs
from mizzen.api.gatewayapi.filters import (
    FilterType,
    GRPCRouteFilter,
    HTTPHeaderFilter,
    HTTPRequestRedirectFilter,
    HTTPRouteFilter,
    HTTPURLRewriteFilter,
    PathModifierType,
)
from mizzen.api.gatewayapi.httproute import HTTPRouteRule, HTTPRouteTimeouts
from mizzen.pilot.base.condition import Condition
from mizzen.pilot.snapshot.gatewayapi.backends import Backends
from mizzen.pilot.snapshot.gatewayapi.matches import Path

FAILS = 500
"""The answer where a backend is missing or must not be referred to."""
_EDITS = frozenset({FilterType.REQUEST_HEADER_MODIFIER, FilterType.RESPONSE_HEADER_MODIFIER})
_HTTP_STEPS = frozenset({*_EDITS, FilterType.REQUEST_REDIRECT, FilterType.URL_REWRITE, FilterType.REQUEST_MIRROR})


def unsupported(rule: HTTPRouteRule) -> Condition | None:
    """Why a rule cannot be served, if so."""
    for index, step in enumerate(rule.filters):
        if step.type not in _HTTP_STEPS:
            message = f"filters[{index}] of a rule: {step.type} is not supported"
            return Condition("Accepted", False, "UnsupportedValue", message)
    for number, backend in enumerate(rule.backend_refs):
        if any(step.type not in _EDITS for step in backend.filters):
            message = f"backendRefs[{number}].filters of a rule: only header modifiers are supported there"
            return Condition("Accepted", False, "UnsupportedValue", message)
    return None


@dataclass
class Maker:
    """Makes routes of one route object; `faults` are the backends that it cannot have."""

    backends: Backends
    kind: str
    namespace: str
    faults: list[Condition] = field(default_factory=list)

    def fields(self, rule: HTTPRouteRule) -> dict[str, Any]:
        """Everything of the route but what depends on the path and the listener."""
        found: dict[str, Any] = {"headers": _headers(rule.filters), "mirrors": self._mirrors(rule.filters)}
        found |= _limits(rule.timeouts)
        if any(step.request_redirect for step in rule.filters):
            return {"headers": found["headers"]}
        whole = sum(backend.weight for backend in rule.backend_refs)
        good = []
        for backend in rule.backend_refs:
            target = self.backends.resolve(backend, self.kind, self.namespace)
            if isinstance(target, Condition):
                self.faults.append(target)
            elif backend.weight:
                headers = _headers(backend.filters)
                good.append(vs.HTTPRouteDestination(destination=target, weight=backend.weight, headers=headers))
        if not good:
            return {"direct_response": vs.HTTPDirectResponse(status=FAILS), "headers": found["headers"]}
        lost = whole - sum(entry.weight or 0 for entry in good)
        if lost:
            share = vs.Percent(value=100 * lost / whole)
            found["fault"] = vs.HTTPFaultInjection(abort=vs.Abort(http_status=FAILS, percentage=share))
        return found | {"route": tuple(good)}

    def _mirrors(self, filters: Iterable[HTTPRouteFilter]) -> tuple[vs.HTTPMirrorPolicy, ...]:
        found = []
        for step in filters:
            mirror = step.request_mirror
            if mirror is None:
                continue
            target = self.backends.resolve(mirror.backend_ref, self.kind, self.namespace)
            if isinstance(target, Condition):
                self.faults.append(target)
                continue
            share = 100.0 if mirror.percent is None else float(mirror.percent)
            if mirror.fraction is not None:
                share = 100 * mirror.fraction.numerator / mirror.fraction.denominator
            found.append(vs.HTTPMirrorPolicy(destination=target, percentage=vs.Percent(value=share)))
        return tuple(found)


def answers(rule: HTTPRouteRule, path: Path, port: int | None) -> dict[str, Any]:
    """Redirect or rewrite of a rule for requests with such a path; `port` is the listener's."""
    for step in rule.filters:
        if step.request_redirect is not None:
            return {"redirect": _redirect(step.request_redirect, path, port)}
        if step.url_rewrite is not None:
            return {"rewrite": _rewrite(step.url_rewrite, path)}
    return {}


def _redirect(stated: HTTPRequestRedirectFilter, path: Path, port: int | None) -> vs.HTTPRedirect:
    replaced: dict[str, str] = {}
    if stated.path is not None and stated.path.type is PathModifierType.REPLACE_FULL_PATH:
        replaced["uri"] = stated.path.replace_full_path or "/"
    elif stated.path is not None:
        replaced["prefix_rewrite"] = path.replaced(stated.path.replace_prefix_match or "")
    return vs.HTTPRedirect(
        scheme=stated.scheme,
        authority=stated.hostname or "",
        port=stated.port or (None if stated.scheme else port),
        redirect_code=stated.status_code,
        **replaced,
    )


def _rewrite(stated: HTTPURLRewriteFilter, path: Path) -> vs.HTTPRewrite:
    found: dict[str, Any] = {"authority": stated.hostname or ""}
    if stated.path is not None and stated.path.type is PathModifierType.REPLACE_FULL_PATH:
        literal = (stated.path.replace_full_path or "/").replace("\\", r"\\")
        found["uri_regex_rewrite"] = vs.RegexRewrite(match="/.*", rewrite=literal)
    elif stated.path is not None:
        found["uri"] = path.replaced(stated.path.replace_prefix_match or "")
    return vs.HTTPRewrite(**found)


def _headers(filters: Iterable[GRPCRouteFilter]) -> vs.Headers | None:
    found: dict[str, vs.HeaderOperations] = {}
    for step in filters:
        if step.request_header_modifier is not None:
            found["request"] = _operations(step.request_header_modifier)
        if step.response_header_modifier is not None:
            found["response"] = _operations(step.response_header_modifier)
    return vs.Headers(**found) if found else None


def _operations(edits: HTTPHeaderFilter) -> vs.HeaderOperations:
    # Values are literal here, while a percent sign begins an operator of Envoy.
    return vs.HeaderOperations(
        set={entry.name: entry.value.replace("%", "%%") for entry in edits.set},
        add={entry.name: entry.value.replace("%", "%%") for entry in edits.add},
        remove=edits.remove,
    )


def _limits(stated: HTTPRouteTimeouts | None) -> dict[str, Any]:
    if stated is None:
        return {}
    found: dict[str, Any] = {}
    if stated.request:
        found["timeout"] = stated.request
    if stated.backend_request and stated.backend_request > timedelta():
        found["retries"] = vs.HTTPRetry(attempts=DEFAULT_ATTEMPTS, per_try_timeout=stated.backend_request)
    return found


DEFAULT_ATTEMPTS = 2
"""As of a route that says nothing about retries."""
