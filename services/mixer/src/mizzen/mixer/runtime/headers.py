"""Header operations of rules."""

from __future__ import annotations

from collections.abc import Iterable

from mizzen.attributes.bag import Bag
from mizzen.mixer.config.rules import HeaderConfig
from mizzen.mixer.expressions.errors import EvaluationError
from mizzen.mixer.verdict import HeaderOperation


def operations(edits: Iterable[HeaderConfig], bag: Bag) -> tuple[HeaderOperation, ...]:
    """What is to be done with headers; an edit whose value is empty or has none is left out."""
    found: list[HeaderOperation] = []
    for edit in edits:
        if edit.value is None:
            found.append(HeaderOperation(edit.name, action=edit.action))
            continue
        try:
            value = edit.value.evaluate(bag)
        except EvaluationError:
            continue
        if value:
            found.append(HeaderOperation(edit.name, value, edit.action))
    return tuple(found)
