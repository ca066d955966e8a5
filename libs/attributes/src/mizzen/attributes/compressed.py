"""Attributes as `istio.mixer.v1.CompressedAttributes`: names and texts are indices of words.

Hot on both sides: a server decodes with every check and report, an agent encodes.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address
from types import MappingProxyType

from google.protobuf.duration_pb2 import Duration

from mizzen.attributes.errors import InvalidAttributes
from mizzen.attributes.values import Value
from mizzen.attributes.words import Indices, word_table
from mizzen.attributes.writer import Writer, seconds_and_nanos
from mizzen.proto.attributes_pb2 import CompressedAttributes

_EPOCH = datetime.fromtimestamp(0, UTC)
_UNREAD: Mapping[str, str] = MappingProxyType({})


def decode(
    message: CompressedAttributes, words: Mapping[int, str] | None = None, maps: Container[str] | None = None
) -> dict[str, Value]:
    """The attributes of a message, with `words` (see `word_table`) where it has none of its own.

    Where `maps` are given, all others are taken for empty, since nobody will look: headers are half of a report.
    Raises InvalidAttributes for an index without a word, a name with two values, and times that Python cannot hold.
    """
    if words is None or message.words:
        words = word_table(message.words)
    values: dict[str, Value] = {}
    try:
        count = _read(message, words, values, maps)
    except KeyError as error:
        raise InvalidAttributes(
            f"attribute index {error.args[0]} is not defined in the available dictionaries"
        ) from error
    except OverflowError as error:
        raise InvalidAttributes(f"a timestamp or duration is out of range: {error}") from error
    if len(values) != count:
        raise InvalidAttributes(f"duplicate attribute {_duplicate(message, words)}")
    return values


def encode(values: Mapping[str, Value], global_words: int | None = None) -> CompressedAttributes:
    """A message with words of its own. `global_words`: how many of the global dictionary to use (all).

    Raises InvalidAttributes that names the attribute whose value has no form on the wire.
    """
    indices = Indices() if global_words is None else Indices(global_words)
    message = CompressedAttributes.FromString(Writer(indices).write(values))
    message.words.extend(indices.words)
    return message


def set_duration(message: Duration, value: timedelta) -> None:
    """Put `value` into a message, exactly."""
    message.seconds, message.nanos = seconds_and_nanos(value)


@lru_cache(maxsize=4096)
def address(packed: bytes) -> IPv4Address | IPv6Address | bytes:
    """The address of 4 or 16 bytes; bytes of another length as they are."""
    if len(packed) == 4:
        return IPv4Address(packed)
    if len(packed) == 16:
        whole = IPv6Address(packed)
        return whole.ipv4_mapped or whole
    return packed


def _read(
    message: CompressedAttributes, words: Mapping[int, str], values: dict[str, Value], wanted: Container[str] | None
) -> int:
    """Fill `values`; how many there should be."""
    # Indexing by key is half the price of items(), which protobuf's maps have from collections.abc.
    strings = message.strings
    for index in strings:
        values[words[index]] = words[strings[index]]
    numbers = message.int64s
    for index in numbers:
        values[words[index]] = numbers[index]
    packed = message.bytes
    for index in packed:
        values[words[index]] = address(packed[index])
    flags = message.bools
    for index in flags:
        values[words[index]] = flags[index]
    maps = message.string_maps
    for index in maps:
        name = words[index]
        if wanted is not None and name not in wanted:
            values[name] = _UNREAD
            continue
        entries = maps[index].entries
        values[name] = {words[key]: words[entries[key]] for key in entries}
    timestamps = message.timestamps
    for index in timestamps:
        time = timestamps[index]
        values[words[index]] = _EPOCH + timedelta(0, time.seconds, time.nanos // 1000)
    durations = message.durations
    for index in durations:
        length = durations[index]
        values[words[index]] = timedelta(0, length.seconds, int(length.nanos / 1000))
    doubles = message.doubles
    for index in doubles:
        values[words[index]] = doubles[index]
    count = len(strings) + len(numbers) + len(packed) + len(flags)
    return count + len(maps) + len(timestamps) + len(durations) + len(doubles)


def _maps(message: CompressedAttributes) -> tuple[Mapping[int, object], ...]:
    return (
        message.strings,
        message.int64s,
        message.doubles,
        message.bools,
        message.timestamps,
        message.durations,
        message.bytes,
        message.string_maps,
    )


def _duplicate(message: CompressedAttributes, words: Mapping[int, str]) -> str:
    """The name that occurs twice, in maps of different types or under two indices."""
    seen: set[str] = set()
    for entries in _maps(message):
        for index in entries:
            if words[index] in seen:
                return words[index]
            seen.add(words[index])
    raise AssertionError("called for a message without duplicates")
