"""What an expression may read of a request, known before there is one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from mizzen.attributes.values import ValueType
from mizzen.attributes.vocabulary import VARIED
from mizzen.mixer.expressions.checker import Types
from mizzen.mixer.expressions.nodes import Attribute, Call, Literal, Node

_STEADY_TYPES = frozenset(ValueType) - {
    ValueType.TIMESTAMP,
    ValueType.DURATION,
    ValueType.DOUBLE,  # 0.0 equals -0.0 and is written otherwise
    ValueType.STRING_MAP,  # whole; an entry is a text
}


class Read(NamedTuple):
    """An attribute, or an entry of a map; `type` is the attribute's."""

    name: str
    key: str | None
    type: ValueType

    @property
    def is_steady(self) -> bool:
        """Whether many requests in a row have the same value there, and equal values are the same."""
        if self.name in VARIED:
            return False
        return self.key is not None or self.type in _STEADY_TYPES


def reads_of(tree: Node, types: Types) -> frozenset[Read]:
    """Everything that a tree can read; which of it a request decides."""
    found: set[Read] = set()
    pending = [tree]
    while pending:  # no recursion: chains may be long
        match pending.pop():
            case Attribute() as node:
                found.add(Read(node.name, None, types[node]))
            case Call(name="INDEX", args=(Attribute() as owner, Literal() as key)):
                found.add(Read(owner.name, str(key.value), ValueType.STRING_MAP))
            case Call() as node:
                pending += node.args if node.target is None else (node.target, *node.args)
    return frozenset(found)


def are_steady(reads: Iterable[Read]) -> bool:
    """Whether all of them are."""
    return all(read.is_steady for read in reads)
