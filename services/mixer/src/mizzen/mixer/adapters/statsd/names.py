"""Names of metrics made from their dimensions, in the little of Go's text/template that such names use."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from mizzen.attributes.values import Value
from mizzen.mixer.adapters.text import text_of

_ACTION = re.compile(r"\{\{-?\s*(.*?)\s*-?\}\}")
_FIELD = re.compile(r"\.(\w+)|index\s+\.\s+\"([^\"]+)\"")
_UNSAFE = str.maketrans({":": "_", "|": "_", "@": "_", "\n": "_", "\r": "_"})

Namer = Callable[[Mapping[str, Value]], str]


def compile_name(template: str, instance: str) -> Namer:
    """A function from dimensions to a name; raises ValueError for more than `{{.source}}` and `{{index . "a.b"}}`.

    An empty template gives the instance's name. What would end a statsd line early becomes `_`.
    """
    if not template:
        return lambda dimensions: instance.translate(_UNSAFE)
    parts: list[tuple[str, str]] = []
    position = 0
    for action in _ACTION.finditer(template):
        field = _FIELD.fullmatch(action[1])
        if field is None:
            known = '{{.source}} and {{index . "a.b"}}'
            raise ValueError(f"a name may have dimensions in it, as {known}, got {action[0]!r}")
        parts.append((template[position : action.start()], field[1] or field[2]))
        position = action.end()
    rest = template[position:]
    if "{{" in rest or "}}" in rest:
        raise ValueError(f"braces do not match in {template!r}")

    def name(dimensions: Mapping[str, Value]) -> str:
        text = "".join(before + _dimension(dimensions, key) for before, key in parts) + rest
        return text.translate(_UNSAFE)

    return name


def _dimension(dimensions: Mapping[str, Value], key: str) -> str:
    """Go writes `<no value>` for what a map does not have."""
    return text_of(dimensions[key]) if key in dimensions else "<no value>"
