"""Durations and timestamps as Go reads them. Both are kept to the microsecond."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from fractions import Fraction

from mizzen.mixer.expressions.errors import EvaluationError

_UNITS = {
    "ns": 1,
    "us": 10**3,
    "µs": 10**3,
    "μs": 10**3,
    "ms": 10**6,
    "s": 10**9,
    "m": 60 * 10**9,
    "h": 3600 * 10**9,
}
_PART = r"([0-9]+\.?[0-9]*|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h)"
_DURATION = re.compile(rf"([-+]?)((?:{_PART})+)")
_DURATION_PART = re.compile(_PART)
_MAX_TEXT = 64
_MAX_NANOSECONDS = 2**63 - 1
_TIMESTAMP = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.([0-9]+))?(Z|[-+][0-9]{2}:[0-9]{2})"
)


def duration(text: str) -> timedelta | None:
    """Go's duration syntax: `1h30m`, `-1.5s`, `0`; None for any other text."""
    if text.lstrip("+-") == "0" and len(text) <= 2:
        return timedelta()
    found = _DURATION.fullmatch(text) if len(text) <= _MAX_TEXT else None
    if found is None:
        return None
    sign, parts = found.group(1), found.group(2)
    nanoseconds = int(sum(Fraction(number) * _UNITS[unit] for number, unit in _DURATION_PART.findall(parts)))
    if nanoseconds > _MAX_NANOSECONDS:
        return None
    value = timedelta(microseconds=nanoseconds // 1000)
    return -value if sign == "-" else value


def timestamp(text: str) -> datetime:
    """RFC 3339, in UTC."""
    found = _TIMESTAMP.fullmatch(text)
    if found is None:
        raise _no_timestamp(text)
    seconds, fraction, zone = found.groups()
    try:
        local = datetime.fromisoformat(f"{seconds}.{(fraction or '')[:6]:0<6}{zone.replace('Z', '+00:00')}")
        return local.astimezone(UTC)
    except (ValueError, OverflowError):  # no such day, or a year that Python does not have
        raise _no_timestamp(text) from None


def _no_timestamp(text: str) -> EvaluationError:
    return EvaluationError(f"could not convert '{text}' to TIMESTAMP. expected format: '2006-01-02T15:04:05Z07:00'")
