"""Header lists and the rules of RFC 9110 §7.6.1 about the ones that concern a single connection.

A head is a list of `(name, value)` pairs in the order and case they arrived. While a head is read, its headers are also
*noted* by their lower-case names, repeated ones joined by a comma; the hop-by-hop ones are noted only, so that what is
left in the list may be forwarded.
"""

from __future__ import annotations

from typing import TypeAlias

Head: TypeAlias = list[tuple[bytes, bytes]]
Noted: TypeAlias = dict[bytes, bytes]

HOP_BY_HOP = frozenset(
    {b"connection", b"keep-alive", b"proxy-connection", b"te", b"transfer-encoding", b"upgrade", b"http2-settings"}
)
"""Never forwarded as they are; what the next connection needs of them is written anew."""

DROPPED_IN_RESPONSE = HOP_BY_HOP | {b"server", b"x-envoy-upstream-service-time"}

USUAL_CONNECTION = frozenset({b"keep-alive", b"close", b"Keep-Alive", b"Close"})
"""Values of Connection that name no header."""

_NEVER_NOMINATED = frozenset({b"host", b"content-length", b"expect"})
_NOT_IN_TRAILERS = HOP_BY_HOP | {b"host", b"content-length", b"trailer", b"authorization", b"set-cookie"}


class FramingError(ValueError):
    """The peer's message cannot be read in exactly one way. The text says why."""


def fold(head: Head) -> dict[bytes, bytes]:
    """Lower-case name → value, repeated values joined by a comma."""
    fields: dict[bytes, bytes] = {}
    for name, value in head:
        low = name.lower()
        fields[low] = fields[low] + b"," + value if low in fields else value
    return fields


def tokens(value: bytes) -> list[bytes]:
    """The lower-case members of a comma-separated list."""
    return [token for part in value.split(b",") if (token := part.strip(b" \t").lower())]


def without_nominated(head: Head, connection: bytes) -> Head:
    """The head without the headers that a Connection header names; framing and routing headers cannot be named."""
    drop = frozenset(tokens(connection)) - _NEVER_NOMINATED
    return [item for item in head if item[0].lower() not in drop]


def value_of(head: Head, name: bytes) -> bytes | None:
    """The value of a header by its lower-case name, repeated ones joined by a comma; None when absent."""
    found = [value for key, value in head if key.lower() == name]
    return b",".join(found) if found else None


def trailers_to_forward(head: Head) -> Head:
    """A trailer section without the fields that must not come after the body."""
    return [item for item in head if item[0].lower() not in _NOT_IN_TRAILERS]
