"""Heads, and the rules of RFC 9110 §7.6.1 about the headers that concern a single connection.

A head keeps every header as the line that arrived (`Name: value`, case and blanks as they were) under its lower-case
name. So a relay looks names up, drops, replaces and adds lines, and writes what is left by joining it; values are cut
out of their lines only when somebody asks. The lines of a repeated header stand under one name, joined by CRLF.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final, TypeAlias

Head: TypeAlias = dict[bytes, bytes]

HOP_BY_HOP: Final = frozenset(
    {b"connection", b"keep-alive", b"proxy-connection", b"te", b"transfer-encoding", b"upgrade", b"http2-settings"}
)
"""Never forwarded as they are; what the next connection needs of them is written anew."""

_NEVER_NOMINATED: Final = frozenset({b"host", b"content-length", b"expect"})
_NOT_IN_TRAILERS: Final = HOP_BY_HOP | {b"host", b"content-length", b"trailer", b"authorization", b"set-cookie"}


class FramingError(ValueError):
    """The peer's message cannot be read in exactly one way. The text says why."""


def read_head(lines: list[bytes]) -> Head:
    """The head of some header lines, each known to have a name, a colon and no line end. ★ hot."""
    head = {line.partition(b":")[0].lower(): line for line in lines}
    if len(head) == len(lines):
        return head
    head = {}
    for line in lines:
        add(head, line.partition(b":")[0].lower(), line)
    return head


def line(name: bytes, value: bytes) -> bytes:
    """A header as it is written."""
    return b"%b: %b" % (name, value)


def block(head: Head) -> bytes:
    """All lines as they are written, without the line's end after the last one."""
    return b"\r\n".join(head.values())


def replace_host(head: Head, authority: bytes) -> None:
    """Write another authority behind the name as it was sent."""
    head[b"host"] = line(head[b"host"][:4], authority)


def add(head: Head, low: bytes, added: bytes) -> None:
    """Add a line after those of the same name."""
    head[low] = b"%b\r\n%b" % (head[low], added) if low in head else added


def value_of(head: Head, low: bytes) -> bytes | None:
    """The value of a header by its lower-case name, repeated ones joined by a comma; None when absent."""
    lines = head.get(low)
    if lines is None:
        return None
    if b"\r\n" not in lines:
        return lines[len(low) + 1 :].strip(b" \t")
    return b",".join(values_of(head, low))


def values_of(head: Head, low: bytes) -> list[bytes]:
    """Each value of a header by its lower-case name, as often as it came."""
    lines = head.get(low)
    return [] if lines is None else [one[len(low) + 1 :].strip(b" \t") for one in lines.split(b"\r\n")]


def append(head: Head, low: bytes, value: bytes) -> None:
    """Add to the end of a header that is a list, or begin it."""
    lines = head.get(low)
    head[low] = line(low, value) if lines is None else b"%b, %b" % (lines, value)


def tokens(value: bytes) -> list[bytes]:
    """The lower-case members of a comma-separated list."""
    return [token for part in value.split(b",") if (token := part.strip(b" \t").lower())]


@dataclass(frozen=True)
class ConnectionOptions:
    """What a Connection header says."""

    close: bool = False
    keep_alive: bool = False
    upgrade: bool = False
    nominated: tuple[bytes, ...] = ()
    """Headers that concern this connection alone; framing and routing headers cannot be among them."""


NO_OPTIONS: Final = ConnectionOptions()


@lru_cache(64)  # few, as a line may be as long as a head
def connection_options(lines: bytes) -> ConnectionOptions:
    """Read a Connection header from its line or lines."""
    members = tokens(value_of({b"connection": lines}, b"connection") or b"")
    return ConnectionOptions(
        close=b"close" in members,
        keep_alive=b"keep-alive" in members,
        upgrade=b"upgrade" in members,
        nominated=tuple(name for name in members if name not in _NEVER_NOMINATED),
    )


def leave_connection(head: Head) -> ConnectionOptions:
    """Drop the hop-by-hop headers and those that Connection names, whose options are returned."""
    lines = head.pop(b"connection", None)
    options = NO_OPTIONS if lines is None else connection_options(lines)
    for name in options.nominated:
        head.pop(name, None)
    if not HOP_BY_HOP.isdisjoint(head):
        for name in HOP_BY_HOP:
            head.pop(name, None)
    return options


def trailers_to_forward(trailers: Head) -> Head:
    """A trailer section without the fields that must not come after the body."""
    return {low: lines for low, lines in trailers.items() if low not in _NOT_IN_TRAILERS}
