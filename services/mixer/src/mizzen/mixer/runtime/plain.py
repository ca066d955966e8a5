"""Values as JSON has them, for pages that people read."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import Enum


def plain(value: object) -> object:
    """Dictionaries, lists, texts and numbers; what is none of these as its text."""
    match value:
        case None | bool() | str():
            return value
        case Enum():
            return value.name
        case int() | float():
            return value
        case datetime():
            return value.isoformat()
        case Mapping():
            return {str(key): plain(item) for key, item in value.items()}
        case Sequence() if not isinstance(value, bytes):
            return [plain(item) for item in value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    return str(value)
