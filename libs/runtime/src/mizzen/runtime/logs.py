"""Logging of a service: one line per record, as text or as JSON.

Records carry only what the code put into them; nothing here adds headers, environment or request bodies, so secrets
stay out as long as nobody logs them.
"""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Literal, TextIO

LEVELS = ("debug", "info", "warning", "error")
LogFormat = Literal["text", "json"]


def set_up(level: str = "info", form: LogFormat = "text", stream: TextIO | None = None) -> None:
    """Send all records of at least `level` to `stream` (standard error), replacing earlier handlers.

    Raises ValueError for an unknown level or format.
    """
    if level.lower() not in LEVELS:
        raise ValueError(f"log level must be one of {', '.join(LEVELS)}, not {level!r}")
    if form not in ("text", "json"):
        raise ValueError(f"log format must be text or json, not {form!r}")
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter() if form == "json" else TextFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())


class TextFormatter(logging.Formatter):
    """`2026-01-01T12:00:00.000Z info    pilot.xds  message`."""

    def format(self, record: logging.LogRecord) -> str:
        head = f"{_time(record)} {record.levelname.lower():7} {_scope(record)}  {_one_line(record.getMessage())}"
        error = _traceback(record)
        return f"{head}\n{error}" if error else head


class JsonFormatter(logging.Formatter):
    """An object with time, level, scope, msg and, after an exception, error."""

    def format(self, record: logging.LogRecord) -> str:
        fields = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "scope": _scope(record),
            "msg": record.getMessage(),
        }
        error = _traceback(record)
        if error:
            fields["error"] = error
        return json.dumps(fields, ensure_ascii=False)


def _time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _scope(record: logging.LogRecord) -> str:
    return record.name.removeprefix("mizzen.")


def _one_line(message: str) -> str:
    """A peer's bytes inside a message must not be able to fake a second record."""
    return message.replace("\r", "\\r").replace("\n", "\\n")


def _traceback(record: logging.LogRecord) -> str:
    return logging.Formatter().formatException(record.exc_info) if record.exc_info else ""
