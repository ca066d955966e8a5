"""Values of policies as Envoy's matchers: `a` exact, `a*` prefix, `*a` suffix, `*` present and not empty."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from envoy.config.route.v3 import route_components_pb2 as route_pb2
from envoy.type.matcher.v3 import metadata_pb2, string_pb2, value_pb2

from mizzen.pilot.generate.protos import regex
from mizzen.pilot.generate.tokens import FILTER, PAYLOAD


def text(value: str, before: str = "", *, ignore_case: bool = False) -> Any:
    """A StringMatcher; `before` stands before the value, outside of any wildcard, but not before a mere `*`."""
    if value == "*":
        return pattern(".+")
    if value.startswith("*"):
        if before:
            return pattern(f"{re.escape(before)}.*{re.escape(value[1:])}")
        return string_pb2.StringMatcher(suffix=value[1:], ignore_case=ignore_case)
    if value.endswith("*"):
        return string_pb2.StringMatcher(prefix=before + value[:-1], ignore_case=ignore_case)
    return string_pb2.StringMatcher(exact=before + value, ignore_case=ignore_case)


def exact(value: str) -> Any:
    """A StringMatcher without wildcards, whatever the value looks like."""
    return string_pb2.StringMatcher(exact=value)


def pattern(expression: str) -> Any:
    """A StringMatcher of a regular expression."""
    return string_pb2.StringMatcher(safe_regex=regex(expression))


def header(name: str, value: str, *, ignore_case: bool = False) -> Any:
    """A HeaderMatcher."""
    if value == "*":
        return route_pb2.HeaderMatcher(name=name, present_match=True)
    return route_pb2.HeaderMatcher(name=name, string_match=text(value, ignore_case=ignore_case))


def claim(path: Sequence[str], value: Any) -> Any:
    """A MetadataMatcher of a claim that is the text or, a list, has it."""
    matcher = value_pb2.ValueMatcher(string_match=value)
    listed = value_pb2.ValueMatcher(list_match=value_pb2.ListMatcher(one_of=matcher))
    either = value_pb2.OrMatcher(value_matchers=[listed, matcher])
    return metadata_matcher(FILTER, [PAYLOAD, *path], value_pb2.ValueMatcher(or_match=either))


def metadata_matcher(namespace: str, path: Sequence[str], value: Any) -> Any:
    """A MetadataMatcher of any value."""
    segments = [metadata_pb2.MetadataMatcher.PathSegment(key=key) for key in path]
    return metadata_pb2.MetadataMatcher(filter=namespace, path=segments, value=value)
