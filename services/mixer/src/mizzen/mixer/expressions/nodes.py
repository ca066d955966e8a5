"""The syntax tree: literals, attributes and calls (operators are calls by the name of their function)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeGuard

from mizzen.attributes.values import Value, ValueType
from mizzen.mixer.expressions.errors import InvalidExpression

MAX_DEPTH = 50
"""Of nested expressions. Chains of one operator of CHAINS, such as `a || b || c ...`, count once."""
CHAINS = frozenset({"LOR", "LAND", "OR", "ADD"})


class Node:
    """A part of an expression, and where it stands in the text (from 0)."""

    __slots__ = ()
    offset: int
    depth: int

    def __repr__(self) -> str:
        return postfix(self)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Literal(Node):
    """A constant, with the text it was written as."""

    value: Value
    type: ValueType
    text: str
    offset: int
    depth: int = 1


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Attribute(Node):
    """An attribute by its whole name, dots included."""

    name: str
    offset: int
    depth: int = 1


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Call(Node):
    """A function of its arguments, or a method of a target; the offset of an operator is that of its sign."""

    name: str
    target: Node | None
    args: tuple[Node, ...]
    offset: int
    depth: int

    @property
    def links(self) -> list[Call]:
        """The calls of a chain of one operator, from left to right; for a call with two arguments in CHAINS."""
        found = [self]
        while _is_link(first := found[-1].args[0], self.name):
            found.append(first)
        return found[::-1]


def call(name: str, args: Sequence[Node], offset: int, target: Node | None = None) -> Call:
    """A call, if that is not nested too deep."""
    children = [*args, target] if target is not None else list(args)
    depth = 1 + max((child.depth for child in children), default=0)
    if target is None and len(args) == 2 and _is_link(args[0], name):
        depth = max(args[0].depth, 1 + args[1].depth)
    if depth > MAX_DEPTH:
        raise too_deep(offset)
    return Call(name, target, tuple(args), offset, depth)


def _is_link(node: Node, name: str) -> TypeGuard[Call]:
    return (
        name in CHAINS and isinstance(node, Call) and node.name == name and node.target is None and len(node.args) == 2
    )


def too_deep(offset: int) -> InvalidExpression:
    """The error of an expression that would take too long a stack."""
    return InvalidExpression(f"nested deeper than {MAX_DEPTH} levels; split the rule or use fewer parentheses", offset)


def postfix(node: Node) -> str:
    """The form that errors show: `EQ($request.method, "GET")`, `$source.name:startsWith("a")`."""
    parts: list[str] = []
    pending: list[Node | str] = [node]
    while pending:  # no recursion: chains may be long
        item = pending.pop()
        match item:
            case str():
                parts.append(item)
            case Literal():
                parts.append(item.text)
            case Attribute():
                parts.append(f"${item.name}")
            case Call():
                written: list[Node | str] = [] if item.target is None else [item.target, ":"]
                written.append(f"{item.name}(")
                for index, arg in enumerate(item.args):
                    written += [", ", arg] if index else [arg]
                pending += reversed([*written, ")"])
    return "".join(parts)
