"""Attributes as people type them: `name=value,name=value`, as in Istio's mixc."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

from mizzen.attributes.values import Value, ValueType

Reader = Callable[[str], Value]
_UNITS = {"ns": 0.001, "us": 1.0, "µs": 1.0, "ms": 1e3, "s": 1e6, "m": 6e7, "h": 3.6e9}
_DURATION = re.compile(r"([-+]?)((?:\d+(?:\.\d*)?(?:ns|us|µs|ms|s|m|h))+)")
_PART = re.compile(r"(\d+(?:\.\d*)?)(ns|us|µs|ms|s|m|h)")
_INTEGER = re.compile(r"[-+]?\d+")
_HEX = re.compile(r"[0-9a-fA-F]{1,2}(:[0-9a-fA-F]{1,2})+")


def read_integer(text: str) -> int:
    if not _INTEGER.fullmatch(text) or not -(2**63) <= int(text) < 2**63:
        raise ValueError("a whole number of 64 bits")
    return int(text)


def read_double(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError("a number") from None


def read_bool(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ValueError("true or false")
    return text.lower() == "true"


def read_timestamp(text: str) -> datetime:
    try:
        time = datetime.fromisoformat(text)
        if time.tzinfo is not None and "T" in text:
            return time.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise ValueError("a time such as 2018-07-31T12:00:00Z")


def read_duration(text: str) -> timedelta:
    found = _DURATION.fullmatch(text)
    if found is None:
        raise ValueError("a duration such as 1m30s")
    microseconds = sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(found[2]))
    return timedelta(microseconds=-microseconds if found[1] == "-" else microseconds)


def read_bytes(text: str) -> bytes:
    if not _HEX.fullmatch(text):
        raise ValueError("bytes such as 0a:00:00:01")
    return bytes(int(part, 16) for part in text.split(":"))


def read_address(text: str) -> Value:
    """An IP address, or its bytes as mixc wants them."""
    try:
        return ip_address(read_bytes(text) if _HEX.fullmatch(text) else text)
    except ValueError:
        raise ValueError("an IP address") from None


def read_map(text: str) -> dict[str, str]:
    entries: dict[str, str] = {}
    for part in filter(None, text.split(";")):
        # A header of HTTP/2 begins with a colon itself.
        name, found, value = part[1:].partition(":")
        if not found:
            raise ValueError("a map such as app:reviews;version:v1")
        entries[part[0] + name] = value
    return entries


READERS: Mapping[str, Reader] = {
    "string": str,
    "int64": read_integer,
    "double": read_double,
    "bool": read_bool,
    "timestamp": read_timestamp,
    "duration": read_duration,
    "bytes": read_bytes,
    "stringmap": read_map,
}
_BY_TYPE: Mapping[ValueType, Reader] = {
    ValueType.STRING: str,
    ValueType.INT64: read_integer,
    ValueType.DOUBLE: read_double,
    ValueType.BOOL: read_bool,
    ValueType.TIMESTAMP: read_timestamp,
    ValueType.DURATION: read_duration,
    ValueType.IP_ADDRESS: read_address,
    ValueType.STRING_MAP: read_map,
}
_GUESSES = (read_integer, read_double, read_bool, read_timestamp, read_duration, read_bytes, read_map)


def read_attributes(automatic: str, typed: Mapping[str, str], declared: Mapping[str, ValueType]) -> dict[str, Value]:
    """All attributes of a command line; `typed` has lists by the name of their reader.

    Without a type, an attribute has the type that is `declared`; of others it is guessed, as by mixc.
    Raises ValueError that says which attribute should be what.
    """
    values: dict[str, Value] = {}
    for name, text in _pairs(automatic):
        values[name] = _read(name, text, _BY_TYPE.get(declared[name], str) if name in declared else _guess)
    for kind, texts in typed.items():
        for name, text in _pairs(texts):
            values[name] = _read(name, text, READERS[kind])
    return values


def read_quotas(text: str) -> dict[str, int]:
    """Amounts by quota; raises ValueError."""
    return {name: _read_amount(name, amount) for name, amount in _pairs(text)}


def _read_amount(name: str, text: str) -> int:
    try:
        return read_integer(text)
    except ValueError as error:
        raise ValueError(f"the amount of quota {name} is to be {error}, not {text!r}") from None


def _pairs(text: str) -> Iterable[tuple[str, str]]:
    for part in filter(None, text.split(",")):
        name, found, value = part.partition("=")
        if not found or not name:
            raise ValueError(f"attributes are name=value,name=value, not {part!r}")
        yield name.strip(), value


def _read(name: str, text: str, reader: Reader) -> Value:
    try:
        return reader(text)
    except ValueError as error:
        raise ValueError(f"{name} is to be {error}, not {text!r}") from None


def _guess(text: str) -> Value:
    for reader in _GUESSES:
        try:
            return reader(text)
        except ValueError:
            continue
    return text
