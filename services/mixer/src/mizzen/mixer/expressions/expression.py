"""The one way in: text and vocabulary to a compiled expression."""

from __future__ import annotations

from dataclasses import dataclass

from mizzen.attributes.values import Value, ValueType
from mizzen.mixer.expressions.attributes import Evaluate
from mizzen.mixer.expressions.checker import Vocabulary, check
from mizzen.mixer.expressions.compiler import Compiler, constant
from mizzen.mixer.expressions.errors import InvalidExpression
from mizzen.mixer.expressions.parser import parse


@dataclass(frozen=True, slots=True)
class Expression:
    """A compiled expression.

    `evaluate` takes a bag and gives a value of `type`, or raises EvaluationError. `doubts` tell of constants in it
    that have no value, such as a malformed address: reaching one is an error.
    """

    text: str
    type: ValueType
    evaluate: Evaluate
    is_constant: bool = False
    doubts: tuple[InvalidExpression, ...] = ()


def compile_expression(text: str, vocabulary: Vocabulary) -> Expression:
    """Parse, check and compile; raises InvalidExpression, which names the column."""
    tree = parse(text)
    types = check(tree, vocabulary)
    compiler = Compiler(types)
    code = compiler.strict(tree)
    return Expression(text, types[tree], code.run, code.is_constant, tuple(compiler.doubts))


def constant_expression(value: Value, type_: ValueType) -> Expression:
    """An expression that was written as a plain value."""
    return Expression(str(value), type_, constant(value).run, is_constant=True)
