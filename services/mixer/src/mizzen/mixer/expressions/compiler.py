"""A checked syntax tree to closures over a bag.

Absence follows Istio: to the left of `|` an attribute, an entry of a map, and what is indexed by something absent may
be absent; everywhere else absence is an error (an entry that a map lacks is an empty text), and a call is never absent.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, NamedTuple

from mizzen.attributes.bag import Bag, DictBag
from mizzen.attributes.values import Value, ValueType
from mizzen.mixer.expressions import attributes, functions, names, uris
from mizzen.mixer.expressions.attributes import Evaluate
from mizzen.mixer.expressions.checker import Types
from mizzen.mixer.expressions.errors import EvaluationError, InvalidExpression
from mizzen.mixer.expressions.nodes import CHAINS, Attribute, Call, Literal, Node

_NOTHING = DictBag({})
_EQUAL: dict[ValueType, Callable[[Any, Any], bool]] = {
    ValueType.DNS_NAME: names.same_dns_name,
    ValueType.EMAIL_ADDRESS: names.same_email,
    ValueType.URI: uris.same_uri,
    ValueType.IP_ADDRESS: functions.same_address,
}
_ORDER: dict[str, Callable[[Any, Any], bool]] = {
    "LT": operator.lt,
    "LEQ": operator.le,
    "GT": operator.gt,
    "GEQ": operator.ge,
}


class Code(NamedTuple):
    """A closure, and whether it gives the same value for every request."""

    run: Evaluate
    is_constant: bool = False


def constant(value: Value) -> Code:
    """A closure that gives `value`."""
    return Code(lambda bag: value, is_constant=True)


class Compiler:
    """Compiles the parts of one tree.

    `doubts` are constants that cannot be evaluated, such as a regular expression with an open bracket: no reason to
    refuse the expression, whose other parts may never need them, but reason enough to say so.
    """

    def __init__(self, types: Types) -> None:
        self._types = types
        self.doubts: list[InvalidExpression] = []

    def strict(self, node: Node) -> Code:
        """The node's value; absence is an error."""
        match node:
            case Literal():
                return constant(node.value)
            case Attribute():
                return Code(attributes.required(node.name, self._types[node]))
            case Call(name="EQ" | "NEQ" | "LT" | "LEQ" | "GT" | "GEQ"):
                return self._comparison(node)
            case Call(name="INDEX"):
                return self._index(node)
            case Call(name="conditional"):
                return self._conditional(node)
            case Call(name="OR"):
                *first, last = self._operands(node)
                return _first_of([self.optional(operand) for operand in first], self.strict(last))
            case Call(name="LOR" | "LAND"):
                return _logic(node.name, [self.strict(operand) for operand in self._operands(node)])
            case Call(name="ADD"):
                return self._sum(node)
            case Call():
                return self._function(node)
        raise TypeError(node)

    def optional(self, node: Node) -> Code:
        """The node's value, None where it is absent."""
        match node:
            case Attribute():
                return Code(attributes.optional(node.name, self._types[node]))
            case Call(name="INDEX"):
                return self._optional_index(node)
            case Call(name="OR"):
                *first, last = [self.optional(operand) for operand in self._operands(node)]
                return _first_of(first, last)
        return self.strict(node)

    def _operands(self, node: Call) -> list[Node]:
        assert node.name in CHAINS  # noqa: S101 - only those have links
        links = node.links
        return [links[0].args[0], *(link.args[1] for link in links)]

    def _fold(self, node: Node, run: Evaluate, *parts: Code) -> Code:
        """`run`, or its value where all parts are constant."""
        if not all(part.is_constant for part in parts):
            return Code(run)
        try:
            return constant(run(_NOTHING))
        except EvaluationError as error:
            self.doubts.append(InvalidExpression(str(error), node.offset))
            return Code(run)

    def _comparison(self, node: Call) -> Code:
        left_node, right_node = node.args
        type_ = self._types[left_node]
        left, right = self.strict(left_node), self.strict(right_node)
        if node.name in _ORDER:
            return self._fold(node, _apply(_ORDER[node.name], left, right), left, right)
        compare = _EQUAL.get(type_)
        if node.name == "EQ":
            return self._fold(node, _apply(compare or operator.eq, left, right), left, right)
        if compare is None:
            return self._fold(node, _apply(operator.ne, left, right), left, right)
        equal = _apply(compare, left, right)
        return self._fold(node, lambda bag: not equal(bag), left, right)

    def _index(self, node: Call) -> Code:
        owner, key_node = node.args
        if isinstance(owner, Attribute):
            if isinstance(key_node, Literal):
                return Code(attributes.required_entry(owner.name, str(key_node.value)))
            return Code(attributes.required_entry_by(owner.name, self.strict(key_node).run))
        entries, key = self.strict(owner).run, self.strict(key_node).run
        return Code(lambda bag: entries(bag).get(key(bag), ""))

    def _optional_index(self, node: Call) -> Code:
        owner, key_node = node.args
        if isinstance(owner, Attribute):
            if isinstance(key_node, Literal):
                return Code(attributes.optional_entry(owner.name, str(key_node.value)))
            return Code(attributes.optional_entry_by(owner.name, self.optional(key_node).run))
        entries, key = self.optional(owner).run, self.optional(key_node).run

        def run(bag: Bag) -> str | None:
            found = entries(bag)
            wanted = None if found is None else key(bag)
            return None if wanted is None else found.get(wanted)

        return Code(run)

    def _conditional(self, node: Call) -> Code:
        condition, yes, no = (self.strict(argument) for argument in node.args)
        if condition.is_constant:
            return yes if condition.run(_NOTHING) else no
        test, if_true, if_false = condition.run, yes.run, no.run
        return Code(lambda bag: if_true(bag) if test(bag) else if_false(bag))

    def _sum(self, node: Call) -> Code:
        parts = [self.strict(operand) for operand in self._operands(node)]
        add = functions.add_int64 if self._types[node] is ValueType.INT64 else operator.add
        if len(parts) == 2:
            return self._fold(node, _apply(add, *parts), *parts)
        first, *rest = [part.run for part in parts]

        def run(bag: Bag) -> Value:
            total = first(bag)
            for part in rest:
                total = add(total, part(bag))
            return total  # type: ignore[no-any-return]

        return self._fold(node, run, *parts)

    def _function(self, node: Call) -> Code:
        values = node.args if node.target is None else (node.target, *node.args)
        arguments = [self.strict(value) for value in values]
        if node.name == "match" and isinstance(pattern := node.args[1], Literal):
            return self._fold(node, _apply(functions.matcher(str(pattern.value)), arguments[0]), arguments[0])
        if node.name == "matches" and isinstance(node.target, Literal):
            try:
                search = functions.searcher(str(node.target.value))
            except EvaluationError as error:
                self.doubts.append(InvalidExpression(str(error), node.target.offset))
                return Code(_apply(functions.matches, *arguments))
            return self._fold(node, _apply(search, arguments[1]), arguments[1])
        return self._fold(node, _apply(functions.FUNCTIONS[node.name], *arguments), *arguments)


def _apply(function: Callable[..., Any], *arguments: Code) -> Evaluate:
    """`function` of the arguments' values."""
    runs = [argument.run for argument in arguments]
    if len(runs) == 1:
        only = runs[0]
        return lambda bag: function(only(bag))
    if len(runs) == 2:
        first, second = runs
        if arguments[1].is_constant:
            known = second(_NOTHING)
            return lambda bag: function(first(bag), known)
        return lambda bag: function(first(bag), second(bag))
    return lambda bag: function(*[run(bag) for run in runs])


def _first_of(maybe: list[Code], last: Code) -> Code:
    """The first value that is there."""
    for index, code in enumerate(maybe):
        if code.is_constant:  # nothing behind it is ever asked for
            maybe, last = maybe[:index], code
            break
    if not maybe:
        return last
    final = last.run
    if len(maybe) == 1:
        only = maybe[0].run
        if last.is_constant:
            default = final(_NOTHING)

            def run(bag: Bag) -> Value:
                value = only(bag)
                return default if value is None else value  # type: ignore[no-any-return]

            return Code(run)
    runs = [code.run for code in maybe]

    def run_all(bag: Bag) -> Value | None:
        for attempt in runs:
            value = attempt(bag)
            if value is not None:
                return value  # type: ignore[no-any-return]
        return final(bag)  # type: ignore[no-any-return]

    return Code(run_all)


def _either(first: Evaluate, second: Evaluate) -> Evaluate:
    return lambda bag: first(bag) or second(bag)


def _both(first: Evaluate, second: Evaluate) -> Evaluate:
    return lambda bag: first(bag) and second(bag)


def _logic(name: str, operands: list[Code]) -> Code:
    """`||` or `&&` of any number of operands, left to right until one decides."""
    decisive = name == "LOR"
    undecided: list[Evaluate] = []
    for operand in operands:
        if not operand.is_constant:
            undecided.append(operand.run)
        elif operand.run(_NOTHING) is decisive:
            if not undecided:
                return operand
            undecided.append(operand.run)
            break
    if not undecided:
        return constant(not decisive)
    if len(undecided) == 1:
        return Code(undecided[0])
    if len(undecided) == 2:
        first, second = undecided
        return Code(_either(first, second) if decisive else _both(first, second))

    def run(bag: Bag) -> bool:
        for operand in undecided:
            if operand(bag) == decisive:
                return decisive
        return not decisive

    return Code(run)
