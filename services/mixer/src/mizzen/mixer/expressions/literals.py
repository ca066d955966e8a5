"""Literals of Go: numbers, and texts with escapes."""

from __future__ import annotations

import re

from mizzen.attributes.values import Value, ValueType
from mizzen.mixer.expressions.errors import InvalidExpression
from mizzen.mixer.expressions.lexer import Token
from mizzen.mixer.expressions.nodes import Literal
from mizzen.mixer.expressions.times import duration

MAX_INT64 = 2**63 - 1
_ESCAPE = re.compile(
    r"\\(?:(?P<octal>[0-7]{3})|x(?P<byte>[0-9a-fA-F]{2})|u(?P<short>[0-9a-fA-F]{4})|U(?P<long>[0-9a-fA-F]{8})"
    r"|(?P<plain>[abfnrtv\\'\"]))"
)
_PLAIN = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


def number(token: Token) -> Literal:
    """A decimal INT64 or a DOUBLE."""
    text = token.text
    if text[:2] in ("0x", "0X"):
        raise InvalidExpression(f"{text} must be written in decimal", token.offset)
    if text.endswith("i"):
        raise InvalidExpression(f"{text} is a complex number; there are only whole numbers and fractions", token.offset)
    if text.isdecimal():
        digits = text.lstrip("0") or "0"
        if len(digits) > 19 or int(digits) > MAX_INT64:
            raise InvalidExpression(f"{text} is out of range for INT64", token.offset)
        return Literal(int(digits), ValueType.INT64, text, token.offset)
    value = float(text)
    if value == float("inf"):
        raise InvalidExpression(f"{text} is out of range for DOUBLE", token.offset)
    return Literal(value, ValueType.DOUBLE, text, token.offset)


def text_literal(token: Token) -> Literal:
    """A STRING; or a DURATION, where the text reads as one."""
    text = _unquote(token)
    if token.kind == "char" and len(text) != 1:
        raise InvalidExpression(f"{token.text}: single quotes hold one character; use double quotes", token.offset)
    as_duration = duration(text)
    value: Value = text if as_duration is None else as_duration
    return Literal(value, ValueType.STRING if as_duration is None else ValueType.DURATION, token.text, token.offset)


def _unquote(token: Token) -> str:
    body = token.text[1:-1]
    if token.text[0] == "`":
        return body.replace("\r", "")
    if "\\" not in body:
        return body
    other_quote = "'" if token.text[0] == '"' else '"'
    pieces: list[bytes] = []
    at = 0
    while at < len(body):
        if body[at] != "\\":
            end = body.find("\\", at)
            end = len(body) if end < 0 else end
            pieces.append(body[at:end].encode("utf-8", "surrogatepass"))
            at = end
            continue
        found = _ESCAPE.match(body, at)
        if found is None or found["plain"] == other_quote:
            raise InvalidExpression(f"unknown escape sequence {body[at : at + 2]}", token.offset + 1 + at)
        pieces.append(_unescape(found, token.offset + 1 + at))
        at = found.end()
    try:
        return b"".join(pieces).decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        raise InvalidExpression("the escapes make no UTF-8 text, so no attribute can equal it", token.offset) from None


def _unescape(found: re.Match[str], offset: int) -> bytes:
    """The bytes that an escape sequence stands for."""
    if found["plain"]:
        return _PLAIN.get(found["plain"], found["plain"]).encode()
    if found["octal"] or found["byte"]:
        value = int(found["octal"], 8) if found["octal"] else int(found["byte"], 16)
        if value > 255:
            raise InvalidExpression(f"{found.group()} is more than a byte", offset)
        return bytes([value])
    code = int(found["short"] or found["long"], 16)
    if code > 0x10FFFF or 0xD800 <= code < 0xE000:
        raise InvalidExpression(f"{found.group()} is not a Unicode character", offset)
    return chr(code).encode()
