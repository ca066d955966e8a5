"""Whatever text, whatever attributes: only this package's own errors, and results of the type that was promised."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, IPv6Address

from expression_support import VOCABULARY
from hypothesis import given, settings
from hypothesis import strategies as st

from mizzen.attributes.bag import DictBag, TrackedBag
from mizzen.attributes.values import ValueType
from mizzen.mixer.expressions.attributes import is_of_type
from mizzen.mixer.expressions.errors import EvaluationError, InvalidExpression
from mizzen.mixer.expressions.expression import compile_expression

T = ValueType
PIECES = [
    "as", "bs", "ab", "ai", "ad", "ar", "aip", "at", "adur", "adns", "amail", "auri", "nosuch", "source.labels", '"a"',
    '"10s"', "`x`", "'c'", "1", "2.5", "true", "==", "!=", "<", "<=", "||", "&&", "|", "+", "-", "!", "*", "&^", "(",
    ")", "[", "]", ",", ".", "ip", "match", "matches", "startsWith", "conditional", "dnsName", "emptyStringMap",
    " ", "\n", "//", '"', "'", "=", "{", "\\", "0x", "1e", "é", "\ud800",
]  # fmt: skip
TEXTS = (
    st.text()
    | st.text(st.sampled_from("aé\ud800.-_@:/[]%*(\\0\x00"))
    | st.sampled_from(
        ["", "1.2.3.4", "::1", "a.b", "a@b.c", "http://a:80/x", "2018-07-31T12:00:00Z", "a*", "[", "xn--a", "a..b"]
    )
)
OF_TYPE = {
    T.STRING: TEXTS,
    T.DNS_NAME: TEXTS,
    T.EMAIL_ADDRESS: TEXTS,
    T.URI: TEXTS,
    T.INT64: st.integers(-(2**63), 2**63 - 1),
    T.DOUBLE: st.floats(),
    T.BOOL: st.booleans(),
    T.TIMESTAMP: st.datetimes(timezones=st.just(UTC)),
    T.DURATION: st.timedeltas(timedelta(-100_000), timedelta(100_000)),
    T.IP_ADDRESS: st.ip_addresses(),
    T.STRING_MAP: st.dictionaries(TEXTS, TEXTS, max_size=3),
}
WRONG = st.one_of(
    st.integers(), TEXTS, st.booleans(), st.floats(), st.binary(max_size=20), st.datetimes(), st.just({}),
    st.just(IPv4Address(1)), st.just(IPv6Address(1)), st.just(timedelta(1)), st.just(datetime(2018, 1, 1, tzinfo=UTC)),
)  # fmt: skip
NAMES = {type_: [name for name, its in VOCABULARY.items() if its is type_ and "." not in name] for type_ in T}


ANY_TYPE = ["({T} | {T})", "conditional({BOOL}, {T}, {T})"]
FORMS = {
    T.STRING: ["{STRING_MAP}[{STRING}]", "ar[{STRING}]", "({STRING} + {STRING})", "toLower({STRING})"],
    T.BOOL: [f"({{{name}}} {sign} {{{name}}})"
             for sign in ("==", "<", ">=") for name in ("STRING", "INT64", "DOUBLE", "TIMESTAMP")]
            + [f"({{{name}}} != {{{name}}})" for name in ("DNS_NAME", "URI", "EMAIL_ADDRESS", "IP_ADDRESS", "BOOL")]
            + ["({BOOL} && {BOOL})", "({BOOL} || {BOOL} || {BOOL})", "match({STRING}, {STRING})",
               "({STRING}).matches({STRING})", "({STRING}).startsWith({STRING})", "({STRING}).endsWith({STRING})"],
    T.INT64: ["size({STRING})", "({INT64} + {INT64})"],
    T.DOUBLE: ["({DOUBLE} + 1.5)"],
    T.DNS_NAME: ["dnsName({STRING})"],
    T.EMAIL_ADDRESS: ["email({STRING})"],
    T.URI: ["uri({STRING})"],
    T.IP_ADDRESS: ["ip({STRING})"],
    T.TIMESTAMP: ["timestamp({STRING})"],
}  # fmt: skip
LITERALS = {
    T.INT64: ["42"],
    T.BOOL: ["true"],
    T.DOUBLE: ["0.5"],
    T.DURATION: ['"1h"'],
    T.STRING_MAP: ["emptyStringMap()"],
}


def quoted(text: str) -> str:
    return '"' + "".join(f"\\U{ord(c):08x}" if not 0xD800 <= ord(c) < 0xE000 else "?" for c in text) + '."'


@st.composite
def expressions(draw: st.DrawFn, type_: ValueType, depth: int = 3) -> str:
    """The text of a well-typed expression."""
    forms = [*NAMES[type_], *LITERALS.get(type_, [])]
    if depth:
        forms += ANY_TYPE + FORMS.get(type_, [])
    if type_ is T.STRING and draw(st.booleans()):
        return quoted(draw(TEXTS))
    form = draw(st.sampled_from(forms)).replace("{T}", f"{{{type_.name}}}")
    return re.sub(r"\{(\w+)\}", lambda hole: draw(expressions(T[hole[1]], depth - 1)), form)


@st.composite
def bags(draw: st.DrawFn) -> DictBag:
    """Some of the attributes, some of them of a wrong type."""
    values = {}
    for name, type_ in VOCABULARY.items():
        if "." not in name and (given := draw(st.integers(0, 9))):
            values[name] = draw(WRONG if given == 9 else OF_TYPE[type_])
    return DictBag(values)


TYPES = st.sampled_from([type_ for type_ in T if NAMES[type_]])


def attempt(text: str, bag: DictBag) -> None:
    """Compile and evaluate: any error but those two fails the test."""
    try:
        expression = compile_expression(text, VOCABULARY)
    except InvalidExpression as error:
        if not (1 <= error.column <= len(text) + 1 and str(error)):
            raise AssertionError(f"column {error.column} of {text!r}") from error
        return
    for each in (bag, TrackedBag(bag)):
        try:
            value = expression.evaluate(each)
        except EvaluationError:
            continue
        assert is_of_type(value, expression.type)


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=200), bags())
def test_any_text(text, bag):
    attempt(text, bag)


@settings(max_examples=500, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=30).map("".join), bags())
def test_any_pieces_of_expressions(text, bag):
    attempt(text, bag)


@settings(max_examples=300, deadline=None)
@given(st.data(), bags())
def test_valid_expressions_of_any_attributes(data, bag):
    type_ = data.draw(TYPES)
    text = data.draw(expressions(type_))
    assert compile_expression(text, VOCABULARY).type is type_
    attempt(text, bag)


@settings(max_examples=300, deadline=None)
@given(st.data(), bags())
def test_valid_expressions_with_a_piece_changed(data, bag):
    text = data.draw(expressions(data.draw(TYPES)))
    at = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(at, min(len(text), at + 5)))
    attempt(text[:at] + data.draw(st.sampled_from(["", *PIECES])) + text[end:], bag)
