"""The one way in: text and vocabulary to a compiled expression."""

from __future__ import annotations

from dataclasses import dataclass

from mizzen.attributes.values import Value, ValueType
from mizzen.mixer.expressions.attributes import Evaluate
from mizzen.mixer.expressions.checker import Vocabulary, check
from mizzen.mixer.expressions.compiler import Compiler, constant
from mizzen.mixer.expressions.errors import InvalidExpression
from mizzen.mixer.expressions.parser import parse
from mizzen.mixer.expressions.reads import Read, are_steady, reads_of


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
    reads: frozenset[Read] = frozenset()
    """Everything that it may read; the same values there give the same result."""

    @property
    def is_steady(self) -> bool:
        """Whether its value is likely to be of use for another request."""
        return are_steady(self.reads)


def compile_expression(text: str, vocabulary: Vocabulary) -> Expression:
    """Parse, check and compile; raises InvalidExpression, which names the column."""
    tree = parse(text)
    types = check(tree, vocabulary)
    compiler = Compiler(types)
    code = compiler.strict(tree)
    return Expression(text, types[tree], code.run, code.is_constant, tuple(compiler.doubts), reads_of(tree, types))


def constant_expression(value: Value, type_: ValueType) -> Expression:
    """An expression that was written as a plain value."""
    return Expression(str(value), type_, constant(value).run, is_constant=True)
