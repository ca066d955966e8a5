"""Attributes to and from their compressed form."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mizzen.attributes.compressed import decode, encode
from mizzen.attributes.errors import InvalidAttributes
from mizzen.attributes.values import Value
from mizzen.attributes.words import word_table
from mizzen.proto.attributes_pb2 import CompressedAttributes
from mizzen.proto.mixer_pb2 import CheckRequest


@given(data=st.data(), known=st.integers(0, 300))
def test_what_is_encoded_is_decoded(
    data: st.DataObject, known: int, attributes: st.SearchStrategy[dict[str, Value]]
) -> None:
    values = data.draw(attributes)
    message = CompressedAttributes.FromString(encode(values, known).SerializeToString())
    decoded = decode(message)
    assert decoded == values
    assert {name: type(value) for name, value in decoded.items()} == {name: type(values[name]) for name in values}


def test_istios_own_bytes_are_read() -> None:
    # Names and numbers of fields by hand: words=1, strings=2, int64s=3; map entries key=1 (zig-zag), value=2.
    wire = (
        b"\x0a\x05/path"  # words: -1
        b"\x12\x04\x08\x22\x10\x01"  # strings: 17 (request.path) → -1
        b"\x12\x05\x08\x26\x10\xb4\x01"  # strings: 19 (request.method) → 90 (GET)
        b"\x1a\x04\x08\x2e\x10\x07"  # int64s: 23 (request.size) → 7
    )
    assert decode(CompressedAttributes.FromString(wire)) == {
        "request.path": "/path",
        "request.method": "GET",
        "request.size": 7,
    }


def test_a_check_of_istios_own_client_is_read() -> None:
    # What mixc of Istio 1.0.9 sent for: mixc check -s destination.service=ratings --bytes_attributes
    # source.ip=0a:00:00:01 --stringmap_attributes request.headers=user:jason -i request.size=5 -b connection.mtls=true
    # -d x.y=1.5 -t request.time=2018-07-31T12:00:00Z --duration_attributes response.duration=1500ms -q requestcount=3
    wire = (
        b"\n\xdb\x01\n\tsource.ip\n\x0frequest.headers\n\x04user\n\x05jason\n\x13destination.service\n\x07ratings"
        b"\n\x0crequest.size\n\x03x.y\n\x0fconnection.mtls\n\x0crequest.time\n\x11response.duration\x12\x04\x08\t\x10"
        b'\x0b\x1a\x04\x08\r\x10\x05"\x0b\x08\x0f\x11\x00\x00\x00\x00\x00\x00\xf8?*\x04\x08\x11\x10\x012\n\x08\x13\x12\x06'
        b"\x08\xc0\x9e\x81\xdb\x05:\x0c\x08\x15\x12\x08\x08\x01\x10\x80\xca\xb5\xee\x01B\x08\x08\x01\x12\x04\n\x00\x00\x01J\n"
        b'\x08\x03\x12\x06\n\x04\x08\x05\x10\x07\x1a\t884346061"\x14\n\x0crequestcount\x12\x04\x08\x03\x10\x01'
    )
    request = CheckRequest.FromString(wire)
    assert decode(request.attributes) == {
        "destination.service": "ratings",
        "source.ip": IPv4Address("10.0.0.1"),
        "request.headers": {"user": "jason"},
        "request.size": 5,
        "connection.mtls": True,
        "x.y": 1.5,
        "request.time": datetime(2018, 7, 31, 12, tzinfo=UTC),
        "response.duration": timedelta(seconds=1.5),
    }
    assert (request.deduplication_id, request.global_word_count) == ("884346061", 0)
    assert (request.quotas["requestcount"].amount, request.quotas["requestcount"].best_effort) == (3, True)


def test_words_outside_the_dictionary_go_into_the_message() -> None:
    message = encode({"request.path": "/path", "x": "GET"})
    assert sorted(message.words) == [b"/path", b"x"]
    assert sorted(message.strings) == [-message.words[:].index(b"x") - 1, 17]


def test_nothing_of_the_dictionary_is_used_for_a_reader_who_knows_none_of_it() -> None:
    message = encode({"request.path": "GET", "request.headers": {"cookie": "a"}}, 0)
    assert {*message.words} == {b"request.path", b"GET", b"request.headers", b"cookie", b"a"}
    assert decode(message) == {"request.path": "GET", "request.headers": {"cookie": "a"}}


def test_an_empty_map_is_there() -> None:
    message = CompressedAttributes.FromString(encode({"source.labels": {}}).SerializeToString())
    assert decode(message) == {"source.labels": {}}


@pytest.mark.parametrize(
    ("packed", "value"),
    [
        (b"\x0a\x00\x00\x01", IPv4Address("10.0.0.1")),
        (bytes(10) + b"\xff\xff\x0a\x00\x00\x01", IPv4Address("10.0.0.1")),
        (bytes(15) + b"\x01", IPv6Address("::1")),
        (b"", b""),
        (b"\x0a\x00\x00", b"\x0a\x00\x00"),
    ],
)
def test_bytes_are_addresses_by_their_length(packed: bytes, value: Value) -> None:
    message = CompressedAttributes()
    message.bytes[0] = packed
    assert decode(message) == {"source.ip": value}


@pytest.mark.parametrize(
    ("value", "seconds", "nanos"),
    [
        (datetime(1970, 1, 1, tzinfo=UTC), 0, 0),
        (datetime(1969, 12, 31, 23, 59, 59, 750_000, UTC), -1, 750_000_000),
        (datetime(2018, 7, 31, 14, 0, 0, 1, tzinfo=UTC), 1_533_045_600, 1000),
    ],
)
def test_timestamps_count_nanoseconds_forwards(value: datetime, seconds: int, nanos: int) -> None:
    message = encode({"request.time": value}).timestamps[24]
    assert (message.seconds, message.nanos) == (seconds, nanos)


@pytest.mark.parametrize(
    ("value", "seconds", "nanos"),
    [
        (timedelta(microseconds=1_500_001), 1, 500_001_000),
        (timedelta(microseconds=-1_500_001), -1, -500_001_000),
        (timedelta(microseconds=-1), 0, -1000),
        (timedelta(), 0, 0),
    ],
)
def test_durations_have_one_sign(value: timedelta, seconds: int, nanos: int) -> None:
    message = encode({"response.duration": value}).durations[29]
    assert (message.seconds, message.nanos) == (seconds, nanos)


def test_parts_of_a_microsecond_are_cut_off() -> None:
    message = CompressedAttributes()
    message.timestamps[24].nanos = 999_999_999
    message.durations[29].nanos = -1_999
    assert decode(message) == {
        "request.time": datetime(1970, 1, 1, 0, 0, 0, 999_999, UTC),
        "response.duration": timedelta(microseconds=-1),
    }


def test_common_words_are_for_messages_without_their_own() -> None:
    common = word_table([b"common"])
    message = CompressedAttributes()
    message.strings[17] = -1
    assert decode(message, common) == {"request.path": "common"}
    message.words.append(b"own")
    assert decode(message, common) == {"request.path": "own"}


@pytest.mark.parametrize("index", [222, 2**31 - 1, -2, -(2**31)])
@pytest.mark.parametrize("place", ["name", "text", "map name", "key", "entry"])
def test_an_index_without_a_word_is_an_error(index: int, place: str) -> None:
    message = CompressedAttributes(words=[b"own"])
    if place == "name":
        message.int64s[index] = 1
    elif place == "text":
        message.strings[0] = index
    elif place == "map name":
        message.string_maps[index].entries[0] = 0
    elif place == "key":
        message.string_maps[0].entries[index] = 0
    else:
        message.string_maps[0].entries[0] = index
    with pytest.raises(InvalidAttributes) as error:
        decode(message)
    assert str(error.value) == f"attribute index {index} is not defined in the available dictionaries"


def test_a_name_with_values_of_two_types_is_an_error() -> None:
    message = CompressedAttributes()
    message.strings[17] = 90
    message.int64s[17] = 1
    with pytest.raises(InvalidAttributes, match=r"^duplicate attribute request\.path$"):
        decode(message)


def test_a_name_under_two_indices_is_an_error() -> None:
    message = CompressedAttributes(words=[b"request.path"])
    message.strings[17] = 90
    message.strings[-1] = 91
    with pytest.raises(InvalidAttributes, match=r"^duplicate attribute request\.path$"):
        decode(message)


@pytest.mark.parametrize("field", ["timestamps", "durations"])
def test_times_that_python_cannot_hold_are_an_error(field: str) -> None:
    message = CompressedAttributes()
    getattr(message, field)[24].seconds = 2**62
    with pytest.raises(InvalidAttributes, match="out of range"):
        decode(message)


@pytest.mark.parametrize("value", [2**63, None, object(), ["a"], {"key": 1}, "\ud800"])
def test_what_has_no_form_on_the_wire_is_named(value: object) -> None:
    with pytest.raises(InvalidAttributes, match=r"^attribute request\.path cannot be sent: "):
        encode({"request.path": value})  # type: ignore[dict-item]


def test_other_mappings_and_texts_are_taken_too() -> None:
    class Method(StrEnum):
        GET = "GET"

    values: dict[str, Value] = {"request.method": Method.GET, "source.labels": MappingProxyType({"app": "a"})}
    assert decode(encode(values)) == {"request.method": "GET", "source.labels": {"app": "a"}}


def test_header_values_that_are_not_utf8_do_not_spoil_the_rest() -> None:
    values = {"request.path": "/", "request.headers": {"x-name": b"caf\xe9".decode("utf-8", "surrogateescape")}}
    message = CompressedAttributes.FromString(encode(values).SerializeToString())
    assert b"caf\xe9" in message.words
    assert decode(message) == {"request.path": "/", "request.headers": {"x-name": "caf\\xe9"}}


INDEX = st.integers(-4, 3) | st.integers(-(2**31), 2**31 - 1)


@given(
    words=st.lists(st.binary(max_size=4), max_size=3),
    strings=st.dictionaries(INDEX, INDEX, max_size=3),
    numbers=st.dictionaries(INDEX, st.integers(-(2**63), 2**63 - 1), max_size=3),
    times=st.dictionaries(INDEX, st.integers(-(2**63), 2**63 - 1), max_size=2),
    lengths=st.dictionaries(INDEX, st.integers(-(2**63), 2**63 - 1), max_size=2),
    nanos=st.integers(-(2**31), 2**31 - 1),
)
def test_any_message_is_read_whole_or_refused(
    words: list[bytes],
    strings: dict[int, int],
    numbers: dict[int, int],
    times: dict[int, int],
    lengths: dict[int, int],
    nanos: int,
) -> None:
    message = CompressedAttributes(words=words, strings=strings, int64s=numbers)
    for index, seconds in times.items():
        message.timestamps[index].seconds = seconds
        message.timestamps[index].nanos = nanos
    for index, seconds in lengths.items():
        message.durations[index].seconds = seconds
        message.durations[index].nanos = nanos
    with suppress(InvalidAttributes):
        assert len(decode(message)) == len(strings) + len(numbers) + len(times) + len(lengths)
