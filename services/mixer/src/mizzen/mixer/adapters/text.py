"""Values as text, the way Mixer has always written them into labels, logs and keys."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from mizzen.attributes.values import Value

_MICROSECOND = timedelta(microseconds=1)


def text_of(value: Value | None) -> str:
    """Decimal numbers, `true`, durations like `1.5s`, addresses, RFC 3339 times, maps as `a=1&b=2` in order."""
    match value:
        case None:
            return ""
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case float():
            return float_text(value)
        case timedelta():
            return duration_text(value)
        case datetime():
            return time_text(value)
        case bytes():
            return value.hex(":")
        case Mapping():
            return "&".join(f"{key}={value[key]}" for key in sorted(value))
    return str(value)


def float_text(value: float) -> str:
    """The shortest decimal text without an exponent that reads back as the same number."""
    text = repr(value)
    if "e" not in text and "n" not in text:
        return text.removesuffix(".0")
    if "n" in text:  # inf, -inf, nan
        return {"inf": "+Inf", "-inf": "-Inf"}.get(text, "NaN")
    from decimal import Decimal

    return f"{Decimal(text):f}"


def duration_text(value: timedelta) -> str:
    """Go's text of a duration: `0s`, `250µs`, `1.5s`, `1h0m2.25s`."""
    micros = value // _MICROSECOND
    if micros == 0:
        return "0s"
    sign, micros = ("-", -micros) if micros < 0 else ("", micros)
    if micros < 1000:
        return f"{sign}{micros}µs"
    if micros < 1_000_000:
        return f"{sign}{_decimal(micros, 1000)}ms"
    minutes, rest = divmod(micros, 60_000_000)
    hours, minutes = divmod(minutes, 60)
    head = f"{hours}h{minutes}m" if hours else f"{minutes}m" if minutes else ""
    return f"{sign}{head}{_decimal(rest, 1_000_000)}s"


def time_text(value: datetime) -> str:
    """RFC 3339 in UTC with microseconds: `2018-07-31T12:00:00.000000Z`."""
    return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _decimal(amount: int, unit: int) -> str:
    whole, rest = divmod(amount, unit)
    return f"{whole}.{str(rest).zfill(len(str(unit)) - 1)}".rstrip("0").rstrip(".") if rest else str(whole)
