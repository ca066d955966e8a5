"""Instances as lines of text, in the form of Istio's stdio adapter."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum

from mizzen.attributes.values import Value
from mizzen.mixer.adapters.text import text_of, time_text


class Level(StrEnum):
    """Severity of a line, in order."""

    INFO = "INFO"
    WARNING = "WARNING"
    ERROR = "ERROR"


_SHOWN = {Level.INFO: "info", Level.WARNING: "warn", Level.ERROR: "error"}


def json_line(level: Level, time: datetime, instance: str, fields: Mapping[str, Value]) -> str:
    """`{"level":"info","time":"2018-07-31T12:00:00.000000Z","instance":"accesslog.logentry.istio-system",...}`."""
    head = {"level": _SHOWN[level], "time": time_text(time), "instance": instance}
    rest = {name: _plain(value) for name, value in fields.items()}
    # A variable may be called like one of the first keys; both are written then, as Istio does.
    return f"{_compact(head)[:-1]}{',' if rest else ''}{_compact(rest)[1:]}\n"


def text_line(level: Level, time: datetime, instance: str, fields: Mapping[str, Value]) -> str:
    """Time, level, instance and the fields as JSON, with tabs between them."""
    rest = json.dumps({name: _plain(value) for name, value in fields.items()}, ensure_ascii=False)
    return "\t".join((time_text(time), _SHOWN[level], instance, *([rest] if fields else ()))) + "\n"


def _compact(value: Mapping[str, object]) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _plain(value: Value) -> object:
    """What JSON can hold; everything else becomes text."""
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else text_of(value)
    return value if isinstance(value, str | bool | int) else text_of(value)
