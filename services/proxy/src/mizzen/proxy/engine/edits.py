"""Header edits of all levels of a route, bound into one step over a head.

Envoy's order: each level removes, then overwrites, then appends; levels run from the most specific (destination) to
the least (table), so the table has the last word on a value that several levels set.
"""

from __future__ import annotations

from typing import Final, TypeAlias

from mizzen.proxy.codec.headers import Head, add, line
from mizzen.proxy.engine.formatter import Formatter, bind_format, constant, to_text
from mizzen.proxy.engine.plan import HeaderEdits
from mizzen.proxy.engine.request import Record

FRAMING: Final = frozenset({"content-length", "transfer-encoding", "connection"})
"""Headers that say where a message ends: edited, they would let a body pass for the next message."""

_NAME_CHARACTERS: Final = frozenset("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")


def is_name(text: str) -> bool:
    """It can be a header's name (RFC 9110 §5.1), and thus cannot smuggle in another header."""
    return bool(text) and _NAME_CHARACTERS.issuperset(text)


class Edits:
    """Edits of a head, in place. Names keep the case they are configured with; comparison ignores case."""

    __slots__ = ()

    def apply(self, head: Head, record: Record, /) -> None:
        """Edit; `record` is read only by formatted values (`%REQ(x)%`)."""
        raise NotImplementedError


def bind_edits(*levels: HeaderEdits) -> Edits | None:
    """One step for all levels, most specific first; None when they edit nothing. ValueError names a bad format."""
    used = [level for level in levels if level.remove or level.set or level.add]
    if not used:
        return None
    for level in used:
        for name in (*level.remove, *(name for name, _ in (*level.set, *level.add))):
            if not name or name.startswith(":") or name.lower() == "host" or name.lower() in FRAMING:
                raise ValueError(f"header {name!r} may not be edited")
    if all(constant(value) is not None for level in used for _, value in (*level.set, *level.add)):
        return _merge(used)
    return FormattedEdits(tuple(_Level(level) for level in used))


class BothEdits(Edits):
    """One after the other."""

    __slots__ = ("_first", "_second")

    def __init__(self, first: Edits, second: Edits) -> None:
        self._first = first
        self._second = second

    def apply(self, head: Head, record: Record, /) -> None:
        self._first.apply(head, record)
        self._second.apply(head, record)


class ConstantEdits(Edits):
    """Edits whose values are known: drop some names, write some, add to some."""

    __slots__ = ("_add", "_drop", "_write")

    def __init__(self, drop: tuple[bytes, ...], write: Head, added: tuple[tuple[bytes, bytes], ...]) -> None:
        self._drop = drop
        self._write = write
        self._add = added

    def apply(self, head: Head, record: Record, /) -> None:
        for low in self._drop:
            head.pop(low, None)
        head.update(self._write)
        for low, lines in self._add:
            add(head, low, lines)


class FormattedEdits(Edits):
    """Edits some of whose values are made from the exchange; an empty value leaves the header as it is."""

    __slots__ = ("_levels",)

    def __init__(self, levels: tuple[_Level, ...]) -> None:
        self._levels = levels

    def apply(self, head: Head, record: Record, /) -> None:
        for level in self._levels:
            level.apply(head, record)


_Value: TypeAlias = bytes | Formatter


class _Level:
    """One level's edits with formatted values. All values are made before the head changes, as in Envoy."""

    __slots__ = ("_add", "_remove", "_set")

    def __init__(self, plan: HeaderEdits) -> None:
        self._remove = tuple(name.lower().encode() for name in plan.remove)
        self._set = tuple((name.encode(), _bind_value(value)) for name, value in plan.set)
        self._add = tuple((name.encode(), _bind_value(value)) for name, value in plan.add)

    def apply(self, head: Head, record: Record) -> None:
        written = [(name, _evaluate(value, record)) for name, value in self._set]
        added = [(name, _evaluate(value, record)) for name, value in self._add]
        for low in self._remove:
            head.pop(low, None)
        head.update((name.lower(), line(name, value)) for name, value in written if value)
        for name, value in added:
            if value:
                add(head, name.lower(), line(name, value))


def _bind_value(text: str) -> _Value:
    known = constant(text)
    return bind_format(text) if known is None else known.encode()


def _evaluate(value: _Value, record: Record) -> bytes:
    if isinstance(value, bytes):
        return value
    return to_text(value, record, missing="").encode("utf-8", "surrogateescape")


def _merge(levels: list[HeaderEdits]) -> ConstantEdits:
    """Play the levels forward over a head that is not known yet: what it has is dropped, replaced, or added to."""
    gone: dict[bytes, None] = {}
    after: Head = {}
    for level in levels:
        sets = {name.lower().encode(): line(name.encode(), _known(value)) for name, value in level.set if value}
        for low in (*(name.lower().encode() for name in level.remove), *sets):
            gone[low] = None
            after.pop(low, None)
        after.update(sets)
        for name, value in level.add:
            if value:
                add(after, name.lower().encode(), line(name.encode(), _known(value)))
    return ConstantEdits(
        tuple(low for low in gone if low not in after),
        {low: lines for low, lines in after.items() if low in gone},
        tuple((low, lines) for low, lines in after.items() if low not in gone),
    )


def _known(value: str) -> bytes:
    return (constant(value) or "").encode()
