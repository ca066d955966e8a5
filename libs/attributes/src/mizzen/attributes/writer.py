"""Attributes as bytes of `istio.mixer.v1.CompressedAttributes`, written by hand.

A message is the bytes of its parts one after the other, so a part that was written once serves all messages that share
their words. That is what makes reports cheap: protobuf's own maps cost several times as much for each entry. A part is
a tag (number of the field << 3 | wire type), a length, and an entry with its key as field 1 and its value as field 2.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, IPv6Address

from mizzen.attributes.errors import InvalidAttributes
from mizzen.attributes.values import Value
from mizzen.attributes.words import Indices

_EPOCH = datetime.fromtimestamp(0, UTC)
_KEY, _NUMBER, _DOUBLE, _BYTES = b"\x08", b"\x10", b"\x11", b"\x12"
"""Tags within an entry: the key, and a value of one of three forms."""
_STRINGS, _INT64S, _DOUBLES, _BOOLS, _TIMESTAMPS, _DURATIONS, _ADDRESSES, _MAPS = (
    bytes((field << 3 | 2,)) for field in range(2, 10)
)
_ENTRIES = b"\x0a"
"""Of a StringMap."""
_INT64 = range(-(2**63), 2**63)
_SMALL = tuple(bytes((number,)) for number in range(128))


def varint(number: int) -> bytes:
    """A number that is not negative."""
    if number < 128:
        return _SMALL[number]
    written = bytearray()
    while number > 127:
        written.append(number & 127 | 128)
        number >>= 7
    written.append(number)
    return bytes(written)


def framed(tag: bytes, content: bytes) -> bytes:
    """A field with a length."""
    return tag + varint(len(content)) + content


class Writer:
    """Writes attributes with one set of words; those that `indices` did not know are added to it."""

    def __init__(self, indices: Indices) -> None:
        self._indices = indices
        self._strings = _Texts(_STRINGS, indices)
        self._entries = _Texts(_ENTRIES, indices)
        self._numbers: dict[tuple[str, int], bytes] = {}
        self._keys: dict[str, bytes] = {}

    def write(self, values: Mapping[str, Value]) -> bytes:
        """A message without its words. Raises InvalidAttributes that names what has no form on the wire."""
        parts: list[bytes] = []
        strings, numbers = self._strings, self._numbers
        item: tuple[str, Value]
        for item in values.items():
            kind = item[1].__class__
            try:
                if kind is str:
                    part = strings[item]  # type: ignore[index]
                elif kind is int:
                    part = numbers.get(item) or self._number(item)  # type: ignore[arg-type]
                elif kind is dict:
                    part = self._map(*item)  # type: ignore[arg-type]
                elif kind is datetime:
                    part = self._timestamp(*item)  # type: ignore[arg-type]
                else:
                    part = self._object(*item)
            except (ValueError, TypeError) as error:
                raise InvalidAttributes(f"attribute {item[0]} cannot be sent: {error}") from error
            parts.append(part)
        return b"".join(parts)

    def _key(self, name: str) -> bytes:
        key = self._keys.get(name)
        if key is None:
            key = self._keys[name] = _KEY + _index(self._indices[name])
        return key

    def _number(self, item: tuple[str, int]) -> bytes:
        part = self._numbers[item] = framed(_INT64S, self._key(item[0]) + _NUMBER + _int64(item[1]))
        return part

    def _map(self, name: str, value: Mapping[str, str]) -> bytes:
        entries = b"".join(map(self._entries.__getitem__, value.items()))
        return framed(_MAPS, self._key(name) + framed(_BYTES, entries))

    def _timestamp(self, name: str, value: datetime) -> bytes:
        since = value - _EPOCH
        return framed(
            _TIMESTAMPS, self._key(name) + _time(since.days * 86400 + since.seconds, since.microseconds * 1000)
        )

    def _object(self, name: str, value: Value) -> bytes:
        if isinstance(value, timedelta):
            return framed(_DURATIONS, self._key(name) + _time(*seconds_and_nanos(value)))
        if isinstance(value, bool):
            return framed(_BOOLS, self._key(name) + _NUMBER + _SMALL[value])
        if isinstance(value, IPv4Address | IPv6Address):
            return framed(_ADDRESSES, self._key(name) + framed(_BYTES, value.packed))
        if isinstance(value, Mapping):
            return self._map(name, value)
        if isinstance(value, datetime):
            return self._timestamp(name, value)
        if isinstance(value, bytes):
            return framed(_ADDRESSES, self._key(name) + framed(_BYTES, value))
        if isinstance(value, float):
            return framed(_DOUBLES, self._key(name) + _DOUBLE + struct.pack("<d", value))
        if isinstance(value, str):  # a subclass
            return self._strings[name, str(value)]
        raise TypeError(f"values of type {type(value).__name__} have no form on the wire")


def seconds_and_nanos(value: timedelta) -> tuple[int, int]:
    """A duration exactly; both have the same sign."""
    if value.days < 0:
        seconds, nanos = seconds_and_nanos(-value)
        return -seconds, -nanos
    return value.days * 86400 + value.seconds, value.microseconds * 1000


class _Texts(dict[tuple[str, str], bytes]):
    """Entries of a map whose keys and values are words, each written when it is asked for first."""

    __slots__ = ("_indices", "_tag")

    def __init__(self, tag: bytes, indices: Indices) -> None:
        super().__init__()
        self._tag = tag
        self._indices = indices

    def __missing__(self, item: tuple[str, str]) -> bytes:
        name, text = item
        if not isinstance(text, str):
            raise TypeError(f"its entry {name} is {type(text).__name__}, not text")
        indices = self._indices
        part = self[item] = framed(self._tag, _KEY + _index(indices[name]) + _NUMBER + _index(indices[text]))
        return part


def _index(index: int) -> bytes:
    """A signed number as protobuf's sint32."""
    return varint(index << 1 if index >= 0 else (-index << 1) - 1)


def _int64(number: int) -> bytes:
    if number not in _INT64:
        raise ValueError(f"{number} does not fit into 64 bits")
    return varint(number & 0xFFFF_FFFF_FFFF_FFFF)


def _time(seconds: int, nanos: int) -> bytes:
    """As the value of an entry: its fields 1 and 2."""
    if nanos >= 0 and 0 <= seconds < 1 << 35:
        # In five bytes each, more than some need: written at once, that takes a third of the time.
        return b"\x12\x0c" + _five(_KEY, seconds) + _five(_NUMBER, nanos)
    return framed(_BYTES, _KEY + _int64(seconds) + _NUMBER + _int64(nanos))


def _five(tag: bytes, n: int) -> bytes:
    return tag + bytes((n & 127 | 128, n >> 7 & 127 | 128, n >> 14 & 127 | 128, n >> 21 & 127 | 128, n >> 28))
