"""Text to a syntax tree, with Go's grammar and precedence, and the restrictions that Istio adds."""

from __future__ import annotations

from mizzen.attributes.values import ValueType
from mizzen.mixer.expressions.errors import InvalidExpression
from mizzen.mixer.expressions.lexer import Token, tokens
from mizzen.mixer.expressions.literals import number, text_literal
from mizzen.mixer.expressions.nodes import MAX_DEPTH, Attribute, Call, Literal, Node, call, too_deep

MAX_LENGTH = 32 * 1024
"""Characters of one expression."""

BINARY = {
    "*": (5, "MUL"), "/": (5, "QUO"), "%": (5, "REM"), "<<": (5, "SHL"), ">>": (5, "SHR"), "&": (5, "AND"),
    "&^": (5, "AND_NOT"),
    "+": (4, "ADD"), "-": (4, "SUB"), "|": (4, "OR"), "^": (4, "XOR"),
    "==": (3, "EQ"), "!=": (3, "NEQ"), "<": (3, "LT"), "<=": (3, "LEQ"), ">": (3, "GT"), ">=": (3, "GEQ"),
    "&&": (2, "LAND"),
    "||": (1, "LOR"),
}  # fmt: skip
"""Operators between two operands: precedence (all of them group to the left), and the function they call."""
UNARY = {"+": "ADD", "-": "SUB", "!": "NOT", "^": "XOR", "&": "AND"}


def parse(text: str) -> Node:
    """The tree of an expression; raises InvalidExpression."""
    if len(text) > MAX_LENGTH:
        raise InvalidExpression(f"an expression may have {MAX_LENGTH} characters, this one has {len(text)}", MAX_LENGTH)
    return _Parser(text).whole()


class _Parser:
    def __init__(self, text: str) -> None:
        self._tokens = tokens(text)
        self._token = next(self._tokens)
        self._depth = 0

    def whole(self) -> Node:
        if self._token.kind == "end":
            raise InvalidExpression("the expression is empty", 0)
        node = self._nested()
        if self._token.kind != "end":
            raise self._unexpected("an operator or the end of the expression")
        return node

    def _next(self) -> Token:
        """Take the current token."""
        token = self._token
        self._token = next(self._tokens)
        return token

    def _at(self, *operators: str) -> bool:
        return self._token.kind == "operator" and self._token.text in operators

    def _expect(self, operator: str) -> Token:
        if not self._at(operator):
            raise self._unexpected(f"'{operator}'")
        return self._next()

    def _unexpected(self, expected: str) -> InvalidExpression:
        if self._at("="):
            expected = "'=='"
        return InvalidExpression(f"expected {expected}, found {self._token.shown}", self._token.offset)

    def _nested(self) -> Node:
        """A whole expression within another one."""
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise too_deep(self._token.offset)
        node = self._binary(1)
        self._depth -= 1
        return node

    def _binary(self, least: int) -> Node:
        """Operators of at least this precedence, and their operands."""
        left = self._unary()
        while self._token.kind == "operator" and self._token.text in BINARY:
            precedence, name = BINARY[self._token.text]
            if precedence < least:
                break
            sign = self._next()
            left = call(name, (left, self._binary(precedence + 1)), sign.offset)
        return left

    def _unary(self) -> Node:
        if self._at("*"):
            raise InvalidExpression("unexpected expression: attributes are values, there is no *", self._token.offset)
        signs: list[Token] = []
        while self._at(*UNARY):
            signs.append(self._next())
            if self._depth + len(signs) > MAX_DEPTH:
                raise too_deep(self._token.offset)
        node = self._operand()
        for sign in reversed(signs):
            node = call(UNARY[sign.text], (node,), sign.offset)
        return node

    def _operand(self) -> Node:
        """A literal, name or parenthesised expression, and the calls and indexes behind it."""
        token = self._token
        node: Node
        if token.kind == "name":
            node = self._name()
        elif token.kind == "number":
            node = number(self._next())
        elif token.kind in ("string", "char"):
            node = text_literal(self._next())
        elif self._at("("):
            self._next()
            node = self._nested()
            self._expect(")")
        else:
            raise self._unexpected("an operand")
        return self._suffixes(node, indexed=False)

    def _name(self) -> Node:
        """An attribute, a truth value, or a call that begins with a name."""
        first = self._next()
        names = [first]
        while self._at("."):
            self._next()
            names.append(self._member())
        dotted = ".".join(name.text for name in names)
        if self._at("("):
            owner = Attribute(dotted[: -len(names[-1].text) - 1], first.offset) if len(names) > 1 else None
            return call(names[-1].text, self._arguments(), names[-1].offset, owner)
        if dotted.lower() in ("true", "false"):
            return Literal(dotted.lower() == "true", ValueType.BOOL, dotted.lower(), first.offset)
        return Attribute(dotted, first.offset)

    def _member(self) -> Token:
        if self._token.kind != "name":
            raise self._unexpected("a name after '.'")
        return self._next()

    def _suffixes(self, node: Node, indexed: bool) -> Node:
        while self._at(".", "[", "("):
            sign = self._next()
            if sign.text == "(":
                raise InvalidExpression("unexpected expression: only a name can be called", sign.offset)
            if sign.text == "[":
                node = call("INDEX", (node, self._nested()), sign.offset)
                self._expect("]")
                indexed = True
                continue
            if indexed:
                raise InvalidExpression(
                    "unexpected expression: put what is indexed in parentheses to call a method of it", sign.offset
                )
            method = self._member()
            if not self._at("("):
                raise InvalidExpression(
                    f"unexpected expression: {_kind(node)} has no fields such as '{method.text}'", method.offset
                )
            node = call(method.text, self._arguments(), method.offset, node)
        return node

    def _arguments(self) -> list[Node]:
        """`(a, b)`; a comma may stand behind the last one."""
        self._expect("(")
        arguments: list[Node] = []
        while not self._at(")"):
            arguments.append(self._nested())
            if not self._at(","):
                break
            self._next()
        self._expect(")")
        return arguments


def _kind(node: Node) -> str:
    if isinstance(node, Literal):
        return "a literal"
    return "the result of a call" if isinstance(node, Call) else "an expression in parentheses"
