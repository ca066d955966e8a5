"""What type every part of an expression has, against a vocabulary of attributes."""

from __future__ import annotations

import difflib
from collections.abc import Mapping

from mizzen.attributes.values import ValueType
from mizzen.mixer.expressions.errors import InvalidExpression
from mizzen.mixer.expressions.nodes import CHAINS, Attribute, Call, Literal, Node, postfix
from mizzen.mixer.expressions.signatures import ANY, INSTEAD, SIGNATURES, Signature

MAX_SHOWN = 200
"""Characters of an expression in an error."""

Vocabulary = Mapping[str, ValueType]
Types = Mapping[Node, ValueType]


def check(node: Node, vocabulary: Vocabulary) -> Types:
    """The types of a tree's nodes; raises InvalidExpression at the first that has none.

    Of a chain of one operator, only the outermost call is among them.
    """
    checker = _Checker(vocabulary)
    checker.type_of(node)
    return checker.types


def unknown(name: str, vocabulary: Vocabulary) -> str:
    """The sentence for an attribute that is not declared."""
    near = difflib.get_close_matches(name, vocabulary, n=1, cutoff=0.8)
    hint = f"did you mean {near[0]}?" if near else "attributes are declared in an attributemanifest"
    return f"unknown attribute {name}; {hint}"


def _shown(node: Node) -> str:
    text = postfix(node)
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}..."


class _Checker:
    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self.types: dict[Node, ValueType] = {}

    def type_of(self, node: Node) -> ValueType:
        match node:
            case Literal():
                found = node.type
            case Attribute():
                found = self._attribute(node)
            case Call():
                found = self._call(node)
            case _:
                raise TypeError(node)
        self.types[node] = found
        return found

    def _attribute(self, node: Attribute) -> ValueType:
        found = self._vocabulary.get(node.name)
        if found is None:
            raise InvalidExpression(unknown(node.name, self._vocabulary), node.offset)
        return found

    def _call(self, node: Call) -> ValueType:
        signature = SIGNATURES.get(node.name)
        if signature is None:
            hint = INSTEAD.get(node.name) or f"there are {', '.join(name for name in SIGNATURES if not name.isupper())}"
            raise InvalidExpression(f"unknown function: {node.name} ({hint})", node.offset)
        self._check_target(node, signature)
        given, wanted = len(node.args), len(signature.args)
        if given != wanted:
            raise InvalidExpression(
                f"{_shown(node)} arity mismatch. Got {given} arg(s), expected {wanted} arg(s)", node.offset
            )
        if node.name in CHAINS:
            return self._chain(node, signature)
        return self._arguments(node, signature)

    def _check_target(self, node: Call, signature: Signature) -> None:
        if node.target is None:
            if signature.target is not None:
                raise InvalidExpression(f"invoking instance method without an instance: {node.name}", node.offset)
        elif signature.target is None:
            raise InvalidExpression(f"invoking regular function on instance method: {node.name}", node.offset)
        else:
            got = self.type_of(node.target)
            if got is not signature.target:
                raise InvalidExpression(
                    f"{_shown(node)} target typeError got {got.name}, expected {signature.target.name}",
                    node.target.offset,
                )

    def _arguments(self, node: Call, signature: Signature) -> ValueType:
        common = ANY
        for index, (argument, wanted) in enumerate(zip(node.args, signature.args, strict=True)):
            got = self.type_of(argument)
            self._expect(node, index, got, common if wanted is ANY else wanted)
            common = got if wanted is ANY else common
        return self._result(node, signature, common)

    def _chain(self, node: Call, signature: Signature) -> ValueType:
        """`a || b || c` without a step into each pair."""
        links = node.links
        common = self.type_of(links[0].args[0])
        self._expect(links[0], 0, common, signature.args[0])
        for link in links:
            self._expect(link, 1, self.type_of(link.args[1]), common)
        return self._result(node, signature, common)

    def _expect(self, node: Call, index: int, got: ValueType, wanted: ValueType) -> None:
        if wanted not in (ANY, got):
            argument = node.args[index]
            raise InvalidExpression(
                f"{_shown(node)} arg {index + 1} ({_shown(argument)}) typeError got {got.name}, expected {wanted.name}",
                argument.offset,
            )

    def _result(self, node: Call, signature: Signature, common: ValueType) -> ValueType:
        if signature.allowed is not None and common not in signature.allowed:
            known = ", ".join(sorted(allowed.name for allowed in signature.allowed))
            raise InvalidExpression(
                f"{_shown(node)}: {node.name} is not implemented for {common.name}; it takes {known}", node.offset
            )
        return common if signature.result is ANY else signature.result
