"""Plans of conditions on texts and requests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class StringMatch:
    """envoy.type.matcher.v3.StringMatcher; `regex` is RE2 and matches the whole text."""

    kind: Literal["exact", "prefix", "suffix", "contains", "regex"]
    value: str
    ignore_case: bool = False


@dataclass(frozen=True, slots=True)
class HeaderMatch:
    """One condition on a header; pseudo headers are `:method`, `:authority`, `:scheme` and `:path`."""

    name: str
    """Lower case."""
    value: StringMatch | None
    """None asks for presence."""
    invert: bool = False
    treat_missing_as_empty: bool = False


@dataclass(frozen=True, slots=True)
class QueryMatch:
    """One condition on a query parameter; `value` None asks for presence."""

    name: str
    value: StringMatch | None


@dataclass(frozen=True, slots=True)
class ValueMatch:
    """A text that meets the condition: the value itself, or one of a list when `in_list`."""

    text: StringMatch
    in_list: bool = False


@dataclass(frozen=True, slots=True)
class MetadataMatch:
    """One condition on what a filter found out, such as a claim of a token."""

    namespace: str
    """Of the filter."""
    path: tuple[str, ...]
    values: tuple[ValueMatch, ...]
    """Alternatives."""
    invert: bool = False


@dataclass(frozen=True, slots=True)
class PathMatch:
    """The condition on the path without its query; `prefix` is a plain string prefix."""

    kind: Literal["exact", "prefix", "regex"]
    value: str
    ignore_case: bool = False


@dataclass(frozen=True, slots=True)
class RouteMatch:
    """All conditions of a route; all of them must hold."""

    path: PathMatch
    headers: tuple[HeaderMatch, ...] = ()
    query: tuple[QueryMatch, ...] = ()
    metadata: tuple[MetadataMatch, ...] = ()
