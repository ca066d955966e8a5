"""Envoy's matchers to the engine's.

A condition that this proxy cannot evaluate raises `NotEvaluable`; whoever asked decides what that means.
"""

from __future__ import annotations

from typing import Any

import re2

from mizzen.proxy.engine.match_plan import (
    HeaderMatch,
    MetadataMatch,
    PathMatch,
    QueryMatch,
    RouteMatch,
    StringMatch,
    ValueMatch,
)
from mizzen.proxy.snapshot.result import Invalid, at
from mizzen.proxy.snapshot.values import wrapped

_QUIET = re2.Options()
_QUIET.log_errors = False
_HEADER_TEXTS = {
    "exact_match": "exact",
    "prefix_match": "prefix",
    "suffix_match": "suffix",
    "contains_match": "contains",
}


class NotEvaluable(Exception):
    """A condition this proxy cannot evaluate; the argument is the full name of its field."""


def check_regex(pattern: str) -> str:
    """The pattern itself; raises Invalid when RE2 does not take it."""
    try:
        re2.compile(pattern, _QUIET)
    except re2.error as error:
        reason = error.args[0] if error.args else error
        text = reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)
        raise Invalid("", f"{pattern!r} is not an RE2 regular expression: {text}") from None
    return pattern


def string_match(matcher: Any) -> StringMatch:
    """A StringMatcher."""
    kind = matcher.WhichOneof("match_pattern")
    if kind == "safe_regex":
        with at("safe_regex.regex"):
            return StringMatch("regex", check_regex(matcher.safe_regex.regex))
    if kind in ("exact", "prefix", "suffix", "contains"):
        return StringMatch(kind, getattr(matcher, kind), matcher.ignore_case)
    if kind is None:
        raise Invalid("", "a string matcher needs one of exact, prefix, suffix, contains, safe_regex")
    raise NotEvaluable(f"{matcher.DESCRIPTOR.full_name}.{kind}")


def header_match(matcher: Any) -> HeaderMatch:
    """A HeaderMatcher."""
    if not matcher.name:
        raise Invalid("name", "is missing")
    kind = matcher.WhichOneof("header_match_specifier")
    value: StringMatch | None = None
    invert = matcher.invert_match
    if kind == "string_match":
        with at("string_match"):
            value = string_match(matcher.string_match)
    elif kind == "safe_regex_match":
        with at("safe_regex_match.regex"):
            value = StringMatch("regex", check_regex(matcher.safe_regex_match.regex))
    elif kind == "present_match":
        invert = invert != (not matcher.present_match)
    elif kind in _HEADER_TEXTS:
        value = StringMatch(_HEADER_TEXTS[kind], getattr(matcher, kind))  # type: ignore[arg-type]
    elif kind is not None:
        raise NotEvaluable(f"{matcher.DESCRIPTOR.full_name}.{kind}")
    return HeaderMatch(matcher.name.lower(), value, invert, matcher.treat_missing_header_as_empty)


def query_match(matcher: Any) -> QueryMatch:
    """A QueryParameterMatcher."""
    if not matcher.name:
        raise Invalid("name", "is missing")
    kind = matcher.WhichOneof("query_parameter_match_specifier")
    if kind == "string_match":
        with at("string_match"):
            return QueryMatch(matcher.name, string_match(matcher.string_match))
    if kind == "present_match" and not matcher.present_match:
        raise NotEvaluable(f"{matcher.DESCRIPTOR.full_name}.present_match")
    return QueryMatch(matcher.name, None)


def metadata_match(matcher: Any) -> MetadataMatch:
    """A MetadataMatcher of texts, of lists of them, or of alternatives."""
    if not matcher.filter:
        raise Invalid("filter", "is missing")
    path = tuple(segment.key for segment in matcher.path)
    return MetadataMatch(matcher.filter, path, _values(matcher.value, in_list=False), matcher.invert)


def _values(message: Any, *, in_list: bool) -> tuple[ValueMatch, ...]:
    kind = message.WhichOneof("match_pattern")
    if kind == "string_match":
        return (ValueMatch(string_match(message.string_match), in_list),)
    if kind == "list_match" and not in_list:
        return _values(message.list_match.one_of, in_list=True)
    if kind == "or_match":
        return tuple(value for each in message.or_match.value_matchers for value in _values(each, in_list=in_list))
    raise NotEvaluable(f"{message.DESCRIPTOR.full_name}.{kind}")


def path_match(match: Any) -> PathMatch:
    """The path part of a RouteMatch."""
    kind = match.WhichOneof("path_specifier")
    ignore_case = not wrapped(match, "case_sensitive", True)
    if kind == "prefix":
        return PathMatch("prefix", match.prefix, ignore_case)
    if kind == "path":
        return PathMatch("exact", match.path, ignore_case)
    if kind == "safe_regex":
        with at("safe_regex.regex"):
            return PathMatch("regex", check_regex(match.safe_regex.regex))
    if kind is None:
        raise Invalid("", "needs one of prefix, path, safe_regex")
    raise NotEvaluable(f"{match.DESCRIPTOR.full_name}.{kind}")


def route_match(match: Any) -> RouteMatch:
    """A RouteMatch whole."""
    for field in ("runtime_fraction", "grpc", "tls_context"):
        if match.HasField(field):
            raise NotEvaluable(f"{match.DESCRIPTOR.full_name}.{field}")
    if match.filter_state:
        raise NotEvaluable(f"{match.DESCRIPTOR.full_name}.filter_state")
    path = path_match(match)
    headers = []
    for index, matcher in enumerate(match.headers):
        with at(f"headers[{index}]"):
            headers.append(header_match(matcher))
    query = []
    for index, matcher in enumerate(match.query_parameters):
        with at(f"query_parameters[{index}]"):
            query.append(query_match(matcher))
    metadata = []
    for index, matcher in enumerate(match.dynamic_metadata):
        with at(f"dynamic_metadata[{index}]"):
            metadata.append(metadata_match(matcher))
    return RouteMatch(path, tuple(headers), tuple(query), tuple(metadata))
