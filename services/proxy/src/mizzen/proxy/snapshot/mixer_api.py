"""HTTPAPISpecs of a service to the plan of its API."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

from mizzen.proxy.engine.match import regex
from mizzen.proxy.engine.mixer_plan import DEFAULT_KEYS, ApiPattern, ApiPlan
from mizzen.proxy.snapshot.result import Invalid, at

_VARIABLE: Final = re.compile(r"(?<=/)\{[^{}=./]+(?:\.[^{}=./]+)*(?:=([^{}]*))?\}(?=[/:]|$)")


def api_of(specs: Iterable[Any]) -> ApiPlan | None:
    """All of them together, None for none; raises Invalid."""
    attributes = b""
    patterns: list[ApiPattern] = []
    keys: list[tuple[str, str]] = []
    names: set[str] = set()
    for index, spec in enumerate(specs):
        with at(f"http_api_spec[{index}]"):
            attributes += spec.attributes.SerializeToString(deterministic=True)
            patterns.extend(_patterns(spec.patterns, names))
            keys.extend(_keys(spec.api_keys))
    if not attributes and not patterns and not keys:
        return None
    return ApiPlan(attributes, tuple(patterns), tuple(keys) or DEFAULT_KEYS, tuple(sorted(names)))


def _patterns(messages: Iterable[Any], names: set[str]) -> list[ApiPattern]:
    patterns = []
    for index, message in enumerate(messages):
        with at(f"patterns[{index}]"):
            patterns.append(_pattern(message))
        names.update(message.attributes.attributes)
    return patterns


def _pattern(message: Any) -> ApiPattern:
    method = message.http_method.encode()
    attributes = message.attributes.SerializeToString(deterministic=True)
    if not method:
        raise Invalid("http_method", "is missing: a pattern without one matches nothing")
    if message.WhichOneof("pattern") == "uri_template":
        segments, verb = _template(message.uri_template)
        return ApiPattern(method, (*segments, verb) if verb else segments, verb, "", attributes)
    if not message.regex:
        raise Invalid("", "needs a uri_template or a regex")
    try:
        regex(message.regex)
    except ValueError as error:
        raise Invalid("regex", str(error)) from error
    return ApiPattern(method, (), b"", message.regex, attributes)


def _template(text: str) -> tuple[tuple[bytes, ...], bytes]:
    """Segments and verb of `/books/{id}/pages/{rest=**}:print`; a variable is its segments, `*` if it names none."""
    flat = _VARIABLE.sub(lambda found: "*" if found[1] is None else found[1], text)
    path, verb = flat, ""
    if ":" in flat:
        path, _, verb = flat.rpartition(":")
        if not verb or "/" in verb:
            raise Invalid("uri_template", f"{text!r}: a colon is for a verb at the end")
    start, *segments = path.split("/")
    if start or not segments:
        raise Invalid("uri_template", f"{text!r} must begin with a slash")
    rest = segments.index("**") if "**" in segments else len(segments)
    for place, segment in enumerate(segments):
        wild = segment in ("*", "**")
        if not segment or (segment.startswith("*") and not wild) or set(segment) & set(":{}"):
            raise Invalid("uri_template", f"{text!r}: a segment is a literal, *, ** or {{name}}, not {segment!r}")
        if wild and place > rest:
            raise Invalid("uri_template", f"{text!r}: only literals may follow **")
    return tuple(segment.encode() for segment in segments), verb.encode()


def _keys(messages: Iterable[Any]) -> list[tuple[str, str]]:
    keys = []
    for index, message in enumerate(messages):
        kind = message.WhichOneof("key")
        if kind is None:
            raise Invalid(f"api_keys[{index}]", "must name a query parameter, a header or a cookie")
        name = getattr(message, kind)
        keys.append((kind, name.lower() if kind == "header" else name))
    return keys
