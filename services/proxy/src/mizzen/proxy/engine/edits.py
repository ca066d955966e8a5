"""Header edits of all levels of a route, bound into one step over a head.

Envoy's order: each level removes, then overwrites, then appends; levels run from the most specific (destination) to
the least (table), so the table has the last word on a value that several levels set.
"""

from __future__ import annotations

from collections.abc import Container
from typing import Protocol, TypeAlias

from mizzen.proxy.engine.formatter import Formatter, bind_format, constant, to_text
from mizzen.proxy.engine.plan import HeaderEdits
from mizzen.proxy.engine.request import Head, Record

FRAMING = frozenset({"content-length", "transfer-encoding", "connection"})
"""Headers that say where a message ends: edited, they would let a body pass for the next message."""


class Edits(Protocol):
    """Edits of a head, in place. Names keep the case they are configured with; comparison ignores case."""

    def apply(self, head: Head, names: Container[bytes], record: Record, /) -> None:
        """`names` has the lower-case name of every line of the head, and may have more.

        `record` is read only by formatted values (`%REQ(x)%`).
        """


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


class ConstantEdits:
    """Edits whose values are known: drop some names, append some lines."""

    __slots__ = ("_append", "_drop")

    def __init__(self, drop: frozenset[bytes], append: tuple[tuple[bytes, bytes], ...]) -> None:
        self._drop = drop
        self._append = append

    def apply(self, head: Head, names: Container[bytes], record: Record, /) -> None:
        drop = self._drop
        for name in drop:
            if name in names:
                head[:] = [line for line in head if line[0].lower() not in drop]
                break
        head += self._append


class FormattedEdits:
    """Edits some of whose values are made from the exchange; an empty value leaves the header as it is."""

    __slots__ = ("_levels",)

    def __init__(self, levels: tuple[_Level, ...]) -> None:
        self._levels = levels

    def apply(self, head: Head, names: Container[bytes], record: Record, /) -> None:
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
        lines = {name.lower(): (name, value) for name, value in written if value}
        drop = {*self._remove, *lines}
        head[:] = [line for line in head if line[0].lower() not in drop]
        head.extend(lines.values())
        head.extend(line for line in added if line[1])


def _bind_value(text: str) -> _Value:
    known = constant(text)
    return bind_format(text) if known is None else known.encode()


def _evaluate(value: _Value, record: Record) -> bytes:
    if isinstance(value, bytes):
        return value
    return to_text(value, record, missing="").encode("utf-8", "surrogateescape")


def _merge(levels: list[HeaderEdits]) -> ConstantEdits:
    """Play the levels forward: what a later level removes or sets, an earlier one need not have appended."""
    drop: set[bytes] = set()
    append: list[tuple[bytes, bytes]] = []
    for level in levels:
        sets = {name.lower().encode(): (name, value) for name, value in level.set if value}
        gone = {name.lower().encode() for name in level.remove} | sets.keys()
        drop |= gone
        append = [line for line in append if line[0].lower() not in gone]
        added = [(name, value) for name, value in level.add if value]
        append += [(name.encode(), (constant(value) or "").encode()) for name, value in (*sets.values(), *added)]
    return ConstantEdits(frozenset(drop), tuple(append))
