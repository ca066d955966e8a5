"""Text to tokens, as Go's scanner cuts it; line ends are white space here, and comments are left out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from mizzen.mixer.expressions.errors import InvalidExpression

_TOKEN = re.compile(
    r"""
      (?P<space>[ \t\r\n]+|//[^\n]*|/\*.*?\*/)
    | (?P<name>(?:[^\W\d]|\$)\w*)
    | (?P<number>0[xX]\w*|(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?i?)
    | (?P<string>"(?:[^"\\\n]|\\.)*"|`[^`]*`)
    | (?P<char>'(?:[^'\\\n]|\\.)*')
    | (?P<operator>&&|\|\||==|!=|<=|>=|<<|>>|&\^|[-+*/%&|^<>!=()\[\]{}.,:;])
    """,
    re.VERBOSE | re.DOTALL,
)
_OPEN = {
    '"': "string literal not terminated",
    "`": "raw string literal not terminated",
    "'": "character literal not terminated",
}


class Token(NamedTuple):
    """A piece of the text: its kind (a group of the pattern, or `end`), its text, and where it begins."""

    kind: str
    text: str
    offset: int

    @property
    def shown(self) -> str:
        """As an error names it."""
        return "the end of the expression" if self.kind == "end" else f"'{self.text}'"


def tokens(text: str) -> Iterator[Token]:
    """All tokens of a text, and `end` after them."""
    offset = 0
    while offset < len(text):
        found = _TOKEN.match(text, offset)
        if found is None:
            character = text[offset]
            message = _OPEN.get(character, f"illegal character U+{ord(character):04X} {character!r}")
            raise InvalidExpression(message, offset)
        kind = found.lastgroup
        assert kind is not None  # noqa: S101 - every alternative is a group
        if kind != "space":
            yield Token(kind, found.group(), offset)
        offset = found.end()
    yield Token("end", "", len(text))
