"""Conditions on requests, bound from plans: each is one function of the request, with the words that explain it.

Facts: envoy.type.matcher.v3.StringMatcher, envoy.config.route.v3.{HeaderMatcher, QueryParameterMatcher}.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

import re2

from mizzen.proxy.engine.match_plan import HeaderMatch, MetadataMatch, PathMatch, QueryMatch, RouteMatch, StringMatch
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


def bind_path_and_conditions(plan: RouteMatch) -> Callable[[RequestView], bool]:
    """All conditions of a RouteMatch as one function."""
    is_path = bind_string(plan.path)
    tests = [condition.holds for condition in bind_conditions(plan)]

    def holds(request: RequestView) -> bool:
        if not is_path(request.path.partition(b"?")[0]):
            return False
        for test in tests:  # noqa: SIM110 - all() would make a generator for each request
            if not test(request):
                return False
        return True

    return holds


def bind_conditions(plan: RouteMatch) -> tuple[Condition, ...]:
    """The conditions besides the path."""
    return (
        *map(bind_header, plan.headers),
        *map(bind_query, plan.query),
        *map(bind_findings, plan.metadata),
    )


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


def bind_metadata(plan: MetadataMatch) -> Callable[[Mapping[str, object]], bool]:
    """A function of what the filter `plan.namespace` found out. Nothing is no text, and so meets no condition."""
    path, invert = plan.path, plan.invert
    tests = [(bind_string(value.text), value.in_list) for value in plan.values]

    def holds(findings: Mapping[str, object]) -> bool:
        found: object = findings
        for key in path:
            if not isinstance(found, Mapping) or key not in found:
                return invert
            found = found[key]
        texts = found if isinstance(found, list) else [found]
        for test, in_list in tests:
            if in_list is isinstance(found, list):
                for text in texts:
                    if isinstance(text, str) and test(text.encode()):
                        return not invert
        return invert

    return holds


def bind_findings(plan: MetadataMatch) -> Condition:
    """A condition of a route on what a filter found out."""
    holds = bind_metadata(plan)
    namespace = plan.namespace
    values = " or ".join(dict.fromkeys(describe(value.text) for value in plan.values))
    what = f"{namespace} {'.'.join(plan.path)} {'not ' if plan.invert else ''}{values}"
    return Condition(lambda request: holds(request.metadata(namespace)), what)


def describe(plan: StringMatch | PathMatch) -> str:
    """`prefix "/api"`, for explanations."""
    return f'{plan.kind} "{plan.value}"' + (" ignoring case" if plan.ignore_case else "")
