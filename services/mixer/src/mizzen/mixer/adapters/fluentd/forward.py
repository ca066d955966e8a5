"""The forward protocol, version 1, in message mode: a MessagePack array of tag, time and record for each entry."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import msgpack  # type: ignore[import-untyped]

from mizzen.attributes.values import Value
from mizzen.mixer.adapters.text import text_of
from mizzen.mixer.templates import LogEntry

_EVENT_TIME = 0  # the extension type of times with nanoseconds
_packer = msgpack.Packer()  # a new one for each entry would cost as much as the packing
_EPOCH = datetime.fromtimestamp(0, UTC)


def encode(entry: LogEntry, *, integer_duration: bool) -> bytes:
    """One entry. A variable `tag` becomes the tag, and the instance's name a field; otherwise that name is the tag."""
    record = {name: _plain(value, integer_duration) for name, value in entry.variables.items()}
    record["severity"] = entry.severity
    tag = entry.name
    if "tag" in record:
        tag = text_of(entry.variables["tag"])
        del record["tag"]
        record["name"] = entry.name
    return bytes(_packer.pack([tag, _event_time(entry.timestamp), record]))


def _event_time(time: datetime) -> msgpack.ExtType:
    micros = (time - _EPOCH) // timedelta(microseconds=1)
    seconds, rest = divmod(max(micros, 0), 1_000_000)
    return msgpack.ExtType(_EVENT_TIME, struct.pack(">II", seconds & 0xFFFFFFFF, rest * 1000))


def _plain(value: Value, integer_duration: bool) -> object:
    if value.__class__ is str:
        return value
    if isinstance(value, timedelta) and integer_duration:
        return value // timedelta(milliseconds=1)
    if isinstance(value, Mapping):
        return dict(value)
    return value if isinstance(value, str | bool | int | float | bytes) else text_of(value)
