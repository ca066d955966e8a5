"""Conditions on requests, bound from plans: each is one function of the request, with the words that explain it.

Facts: envoy.type.matcher.v3.StringMatcher, envoy.config.route.v3.{HeaderMatcher, QueryParameterMatcher}.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

import re2

from mizzen.proxy.engine.match_plan import HeaderMatch, PathMatch, QueryMatch, StringMatch
from mizzen.proxy.engine.request import RequestView

Test: TypeAlias = Callable[[bytes], bool]


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition of a route besides its path."""

    holds: Callable[[RequestView], bool]
    text: str
    """What is asked, such as `header end-user exact "jason"`."""


def regex(pattern: str) -> re2._Regexp:
    """Compile an RE2 pattern for bytes; ValueError says what is wrong with it."""
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(pattern.encode(), options)
    except re2.error as error:
        reason = error.args[0] if error.args else error
        text = reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)
        raise ValueError(f"regex {pattern!r}: {text}") from error


def bind_string(plan: StringMatch | PathMatch) -> Test:
    """A function of the text. `ignore_case` (ASCII) has no effect on a regex, as in Envoy."""
    value = plan.value.encode()
    if plan.kind == "regex":
        fullmatch = regex(plan.value).fullmatch
        return lambda text: fullmatch(text) is not None
    if plan.ignore_case:
        value = value.lower()
        sensitive = _sensitive(plan.kind, value)
        return lambda text: sensitive(text.lower())
    return _sensitive(plan.kind, value)


def _sensitive(kind: str, value: bytes) -> Test:
    match kind:
        case "exact":
            return value.__eq__
        case "prefix":
            return lambda text: text.startswith(value)
        case "suffix":
            return lambda text: text.endswith(value)
        case "contains":
            return lambda text: value in text
    raise ValueError(f"unknown kind of string match: {kind!r}")


_PSEUDO: Final[dict[str, Callable[[RequestView], bytes | None]]] = {
    ":method": lambda request: request.method,
    ":path": lambda request: request.path,
    ":authority": lambda request: request.authority or None,
    ":scheme": lambda request: request.scheme or None,
}
_PSEUDO["host"] = _PSEUDO[":authority"]


def header_reader(name: str) -> Callable[[RequestView], bytes | None]:
    """A function that reads a header or pseudo header of a request; `host` is `:authority`, as in Envoy."""
    pseudo = _PSEUDO.get(name)
    if pseudo is not None:
        return pseudo
    wire_name = name.lower().encode()
    return lambda request: request.header(wire_name)


def bind_header(plan: HeaderMatch) -> Condition:
    """A missing header meets no condition on its value, not even an inverted one, unless it counts as empty."""
    read = header_reader(plan.name)
    invert = plan.invert
    if plan.value is None:
        return Condition(
            lambda request: (read(request) is None) == invert,
            f"header {plan.name} {'absent' if invert else 'present'}",
        )
    test = bind_string(plan.value)
    missing = (test(b"") != invert) if plan.treat_missing_as_empty else False

    def holds(request: RequestView) -> bool:
        value = read(request)
        return missing if value is None else test(value) != invert

    return Condition(holds, f"header {plan.name} {'not ' if invert else ''}{describe(plan.value)}")


def bind_query(plan: QueryMatch) -> Condition:
    """The first occurrence of the parameter counts; nothing is percent-decoded, as in Envoy."""
    name = plan.name.encode()
    if plan.value is None:
        return Condition(
            lambda request: query_value(request.path, name) is not None, f"query parameter {plan.name} present"
        )
    test = bind_string(plan.value)

    def holds(request: RequestView) -> bool:
        value = query_value(request.path, name)
        return value is not None and test(value)

    return Condition(holds, f"query parameter {plan.name} {describe(plan.value)}")


def query_value(path: bytes, name: bytes) -> bytes | None:
    """The first value of a query parameter: "" when it has no `=`, None when it is not there."""
    _, mark, query = path.partition(b"?")
    if not mark:
        return None
    for pair in query.split(b"&"):
        key, _, value = pair.partition(b"=")
        if key == name:
            return value
    return None


def describe(plan: StringMatch | PathMatch) -> str:
    """`prefix "/api"`, for explanations."""
    return f'{plan.kind} "{plan.value}"' + (" ignoring case" if plan.ignore_case else "")
