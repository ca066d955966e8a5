"""Conditions of routes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from envoy.config.route.v3 import route_components_pb2 as route_pb2
from envoy.type.matcher.v3 import string_pb2

from mizzen.api.virtualservice import HTTPMatchRequest, StringMatch
from mizzen.pilot.generate.authz.texts import claim
from mizzen.pilot.generate.protos import boolean, regex

_CLAIMS = "@request.auth.claims"
_NOT_HEADERS = frozenset({"uri", "scheme", "method", "authority"})
"""Names that have a field of their own; under headers they are ignored."""


def everything() -> Any:
    """The match of a rule without conditions."""
    return route_pb2.RouteMatch(prefix="/")


def is_catch_all(match: Any) -> bool:
    """Whether no later route can be reached."""
    conditions = match.headers or match.query_parameters or match.dynamic_metadata
    return not conditions and (match.prefix == "/" or match.safe_regex.regex == ".*")


def route_match(request: HTTPMatchRequest) -> Any:
    """The dynamic conditions of a match; those on ports, gateways and sources are decided before."""
    message = route_pb2.RouteMatch()
    _set_path(message, request)
    for name, condition in (
        (":method", request.method),
        (":authority", request.authority),
        (":scheme", request.scheme),
    ):
        if condition is not None:
            message.headers.append(header(name, condition))
    for name, condition in sorted(request.headers.items()):
        if keys := claim_path(name):
            message.dynamic_metadata.append(_claim(keys, condition, invert=False))
        elif name not in _NOT_HEADERS:
            message.headers.append(header(name, condition))
    for name, condition in sorted(request.without_headers.items()):
        if keys := claim_path(name):
            message.dynamic_metadata.append(_claim(keys, condition, invert=True))
        elif name not in _NOT_HEADERS:
            message.headers.append(_without(name, condition))
    for name, condition in sorted(request.query_params.items()):
        message.query_parameters.append(_query(name, condition))
    return message


def header(name: str, condition: StringMatch) -> Any:
    """One condition on a header."""
    if _is_presence(condition):
        return route_pb2.HeaderMatcher(name=name, present_match=True)
    return route_pb2.HeaderMatcher(name=name, string_match=text(condition))


def text(condition: StringMatch, *, ignore_case: bool = False) -> Any:
    """A condition on a text that is there."""
    if condition.exact is not None:
        return string_pb2.StringMatcher(exact=condition.exact, ignore_case=ignore_case)
    if condition.prefix is not None:
        return string_pb2.StringMatcher(prefix=condition.prefix, ignore_case=ignore_case)
    return string_pb2.StringMatcher(safe_regex=regex(condition.regex or ".*"))


def _set_path(message: Any, request: HTTPMatchRequest) -> None:
    uri = request.uri
    if uri is None or _is_presence(uri):
        message.prefix = "/"
    elif uri.exact is not None:
        message.path = uri.exact
    elif uri.prefix is not None:
        message.prefix = uri.prefix
    else:
        message.safe_regex.CopyFrom(regex(uri.regex or ".*"))
    if request.ignore_uri_case and not message.HasField("safe_regex"):
        message.case_sensitive.CopyFrom(boolean(False))


def _without(name: str, condition: StringMatch) -> Any:
    message = header(name, condition)
    message.invert_match = True
    # A header that is missing differs from any value, so it has to count as an empty one.
    message.treat_missing_header_as_empty = not _is_presence(condition)
    return message


def _query(name: str, condition: StringMatch) -> Any:
    if _is_presence(condition):
        return route_pb2.QueryParameterMatcher(name=name, present_match=True)
    return route_pb2.QueryParameterMatcher(name=name, string_match=text(condition))


def _is_presence(condition: StringMatch) -> bool:
    stated = (condition.exact, condition.prefix, condition.regex)
    return stated == (None, None, None) or condition.regex == "*"


def _claim(keys: Sequence[str], condition: StringMatch, *, invert: bool) -> Any:
    """A condition on a claim of the verified token."""
    matcher = claim(keys, text(condition))
    matcher.invert = invert
    return matcher


def claim_path(name: str) -> list[str]:
    """The claim that `@request.auth.claims.a.b` or `@request.auth.claims[a][b]` means; empty for a header's name."""
    rest = name[len(_CLAIMS) :]
    if not name.lower().startswith(_CLAIMS) or len(rest) < 2:
        return []
    if rest.startswith("."):
        return rest[1:].split(".")
    return rest[1:-1].split("][") if rest.startswith("[") and rest.endswith("]") and len(rest) > 2 else []
