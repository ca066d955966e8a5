"""Literals, names, grouping, and what the grammar refuses."""

from __future__ import annotations

from datetime import timedelta

import pytest
from expression_support import check_case, refused, table

from mizzen.mixer.expressions.nodes import MAX_DEPTH, postfix
from mizzen.mixer.expressions.parser import MAX_LENGTH, parse

LITERALS = [
    ("true", {}, True),
    ("false", {}, False),
    ("TRUE", {}, True),
    ("False", {}, False),
    ("tRuE", {}, True),
    ("0", {}, 0),
    ("456789", {}, 456789),
    ("007", {}, 7),
    ("9223372036854775807", {}, 2**63 - 1),
    ("456.789", {}, 456.789),
    ("1.", {}, 1.0),
    (".5", {}, 0.5),
    ("1e3", {}, 1000.0),
    ("1.5e-3", {}, 0.0015),
    ("2E+2", {}, 200.0),
    ('"ABC"', {}, "ABC"),
    ('""', {}, ""),
    ("`raw \\n text`", {}, "raw \\n text"),
    ("`two\nlines`", {}, "two\nlines"),
    ("`a\r\nb`", {}, "a\nb"),
    ("'a'", {}, "a"),
    ("'\"'", {}, '"'),
    (r"'\''", {}, "'"),
    (r"'\n'", {}, "\n"),
    ("'µ'", {}, "µ"),
    (r'"a\"b"', {}, 'a"b'),
    (r'"\a\b\f\n\r\t\v\\"', {}, "\a\b\f\n\r\t\v\\"),
    (r'"\101\x42\u0043\U00000044"', {}, "ABCD"),
    (r'"\xc2\xb5"', {}, "µ"),
    (r'"\u00b5s"', {}, "µs"),
    ('"naïve ☃"', {}, "naïve ☃"),
    ('"10s"', {}, timedelta(seconds=10)),
    ('"1h30m"', {}, timedelta(minutes=90)),
    ('"1.5s"', {}, timedelta(seconds=1.5)),
    ('".5m"', {}, timedelta(seconds=30)),
    ('"1.s"', {}, timedelta(seconds=1)),
    ('"250ms"', {}, timedelta(milliseconds=250)),
    ('"3us"', {}, timedelta(microseconds=3)),
    ('"3µs"', {}, timedelta(microseconds=3)),
    ('"1500ns"', {}, timedelta(microseconds=1)),
    ('"-2m"', {}, timedelta(minutes=-2)),
    ('"+2m"', {}, timedelta(minutes=2)),
    ('"0"', {}, timedelta()),
    ('"-0"', {}, timedelta()),
    ("'0'", {}, timedelta()),
    ("`5s`", {}, timedelta(seconds=5)),
    ('"10"', {}, "10"),
    ('"s"', {}, "s"),
    ('"10 s"', {}, "10 s"),
    ('"5x"', {}, "5x"),
    ('"."', {}, "."),
    ('"9999999h"', {}, "9999999h"),
]

FORMS = [
    ("as", {"as": "AAA"}, "AAA"),
    ("source.workload.name", {"source.workload.name": "v1"}, "v1"),
    (" \t as \n", {"as": "x"}, "x"),
    ("as // the name", {"as": "x"}, "x"),
    ("as /* the\nname */ | bs", {"bs": "y"}, "y"),
    ("as\n|\nbs", {"bs": "y"}, "y"),
    ("((as))", {"as": "x"}, "x"),
    ('ar["b"]', {"ar": {"b": "c"}}, "c"),
    ("ar[`b`]", {"ar": {"b": "c"}}, "c"),
    ("ar['b']", {"ar": {"b": "c"}}, "c"),
    ("ar[as]", {"ar": {"b": "c"}, "as": "b"}, "c"),
    ('(ar)["b"]', {"ar": {"b": "c"}}, "c"),
    ('as . startsWith ( "a" )', {"as": "ab"}, True),
    ('source.name.startsWith("a")', {"source.name": "ab"}, True),
    ('"abc".startsWith("a")', {}, True),
    ('("abc").startsWith("a")', {}, True),
    ('toLower("ABC").startsWith("a")', {}, True),
    ('(ar["b"]).startsWith("c")', {"ar": {"b": "cd"}}, True),
    ('match(as, "a*",)', {"as": "ab"}, True),
    ('EQ(as, "a")', {"as": "a"}, True),
    ('OR(as, "a")', {}, "a"),
    ('INDEX(ar, "b")', {"ar": {"b": "c"}}, "c"),
    ('as == "a" || as == "b" && ab', {"as": "a", "ab": False}, True),
    ('(as == "a" || as == "b") && ab', {"as": "a", "ab": False}, False),
    ('as | "x" == "x"', {}, True),
    ('"a" + "b" == "ab"', {}, True),
    ('as | "a" + "b"', {}, "ab"),
    ('as | "a" + bs + "c"', {"bs": "b"}, "abc"),
    ("ab == false == true", {"ab": False}, True),
]

REFUSED = [
    ("", {}, refused(1, "empty")),
    ("   ", {}, refused(1, "empty")),
    ("// nothing", {}, refused(1, "empty")),
    ("a = 2", {}, refused(3, "expected '==', found '='")),
    ("3 = 10", {}, refused(3, "expected '==', found '='")),
    ("@23", {}, refused(1, "illegal character U+0040 '@'")),
    ("as # bs", {}, refused(4, "illegal character U+0023 '#'")),
    ("as ?", {}, refused(4, "illegal character U+003F")),
    ("*a != b", {}, refused(1, "unexpected expression")),
    ("ar[*as]", {}, refused(4, "unexpected expression")),
    ("(a.c).d == 300", {}, refused(7, "unexpected expression")),
    ("ip(as).b", {}, refused(8, "unexpected expression")),
    ("ip(as).b.c()", {}, refused(8, "unexpected expression")),
    ('"a".b', {}, refused(5, "unexpected expression")),
    ("ip(as)(bs)", {}, refused(7, "only a name can be called")),
    ("(ip)(as)", {}, refused(5, "only a name can be called")),
    ('ar["b"].startsWith("c")', {}, refused(8, "in parentheses")),
    ("as{}", {}, refused(3, "found '{'")),
    ("as bs", {}, refused(4, "expected an operator or the end of the expression, found 'bs'")),
    ("as == ", {}, refused(7, "expected an operand, found the end")),
    ("as ==\n", {}, refused(7, "expected an operand, found the end")),
    ("== as", {}, refused(1, "expected an operand, found '=='")),
    ("as &&& bs", {}, refused(1, "typeError got STRING, expected BOOL")),
    ("(as", {}, refused(4, "expected ')'")),
    ("as)", {}, refused(3, "found ')'")),
    ("ar[as", {}, refused(6, "expected ']'")),
    ("ar[]", {}, refused(4, "expected an operand")),
    ("ar[as:bs]", {}, refused(6, "expected ']'")),
    ("ip(as", {}, refused(6, "expected ')'")),
    ("ip(,as)", {}, refused(4, "expected an operand")),
    ("ip(as bs)", {}, refused(7, "expected ')'")),
    ("as.", {}, refused(4, "expected a name after '.'")),
    ("as.(bs)", {}, refused(4, "expected a name after '.'")),
    ("as.5", {}, refused(3, "found '.5'")),
    ('"abc', {}, refused(1, "string literal not terminated")),
    ('as == "abc', {}, refused(7, "string literal not terminated")),
    ('"a\nb"', {}, refused(1, "string literal not terminated")),
    ("`abc", {}, refused(1, "raw string literal not terminated")),
    ("'a", {}, refused(1, "character literal not terminated")),
    ("as == 'aaa'", {}, refused(7, "single quotes hold one character")),
    ("''", {}, refused(1, "single quotes hold one character")),
    (r'"\q"', {}, refused(2, r"unknown escape sequence \q")),
    ('"ab\\\'"', {}, refused(4, "unknown escape sequence")),
    (r'"\400"', {}, refused(2, "more than a byte")),
    (r'"\x4"', {}, refused(2, "unknown escape sequence")),
    (r'"\ud800"', {}, refused(2, "not a Unicode character")),
    (r'"\U00110000"', {}, refused(2, "not a Unicode character")),
    (r'"\xff"', {}, refused(1, "no UTF-8")),
    ("0x1F", {}, refused(1, "must be written in decimal")),
    ("1i", {}, refused(1, "complex")),
    ("9223372036854775808", {}, refused(1, "out of range for INT64")),
    ("9" * 5000, {}, refused(1, "out of range for INT64")),
    ("1e999", {}, refused(1, "out of range for DOUBLE")),
    ("12ab", {}, refused(3, "found 'ab'")),
]


@table(LITERALS)
def test_literals(text, attributes, outcome):
    check_case(text, attributes, outcome)


@table(FORMS)
def test_forms(text, attributes, outcome):
    check_case(text, attributes, outcome)


@table(REFUSED)
def test_what_the_grammar_refuses(text, attributes, outcome):
    check_case(text, attributes, outcome)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a.b.c == 2", "EQ($a.b.c, 2)"),
        ('!(a.b || b || "c a b" || ( a && b ))', 'NOT(LOR(LOR(LOR($a.b, $b), "c a b"), LAND($a, $b)))'),
        ("a|b|c", "OR(OR($a, $b), $c)"),
        ("a | (b | c)", "OR($a, OR($b, $c))"),
        ("a - b + c", "ADD(SUB($a, $b), $c)"),
        ("a + b * c", "ADD($a, MUL($b, $c))"),
        ("a * b + c", "ADD(MUL($a, $b), $c)"),
        ("a & b | c ^ d &^ e", "XOR(OR(AND($a, $b), $c), AND_NOT($d, $e))"),
        ("a << b >> c % d / e", "QUO(REM(SHR(SHL($a, $b), $c), $d), $e)"),
        ("a < b == c >= d", "GEQ(EQ(LT($a, $b), $c), $d)"),
        ("a <= b != c > d", "GT(NEQ(LEQ($a, $b), $c), $d)"),
        ("a && b || c && d", "LOR(LAND($a, $b), LAND($c, $d))"),
        ("-a + +b", "ADD(SUB($a), ADD($b))"),
        ("!-^&a", "NOT(SUB(XOR(AND($a))))"),
        ("a.b.c(q, z)", "$a.b:c($q, $z)"),
        ("a.b().c().d() == 23", "EQ($a:b():c():d(), 23)"),
        ('"abc".prefix(23).matches("foo")', '"abc":prefix(23):matches("foo")'),
        ('r.h["abc"]["d"]', 'INDEX(INDEX($r.h, "abc"), "d")'),
        ("a()", "a()"),
        ("a(b(c()))", "a(b(c()))"),
        ("FALSE", "false"),
    ],
)
def test_grouping_is_that_of_go(text, expected):
    assert postfix(parse(text)) == expected


@pytest.mark.parametrize(
    "text",
    [
        "(" * 10_000,
        "(" * 60 + "as" + ")" * 60,
        "!" * 10_000 + "ab",
        "ip(" * 200 + "as",
        "ar[" * 200,
        "as" + '.startsWith("a")' * 200,
        "ar" + '["a"]' * 200,
        "ab" + " == ab" * 200,
        "ab || (" * 60 + "ab" + ")" * 60,
    ],
    ids=lambda text: text[:12],
)
def test_deep_nesting_is_refused(text):
    from mizzen.mixer.expressions.errors import InvalidExpression

    with pytest.raises(InvalidExpression, match=f"nested deeper than {MAX_DEPTH} levels"):
        parse(text)


@pytest.mark.parametrize("sign", ["||", "&&", "|", "+"])
def test_long_chains_are_not_deep(sign):
    attribute, value = {"||": ("ab", False), "&&": ("ab", True), "|": ("as", "x"), "+": ("ai", 1)}[sign]
    count = MAX_LENGTH // (len(attribute) + len(sign)) - 1
    check_case(sign.join([attribute] * count), {attribute: value}, count if sign == "+" else value)


def test_too_long_a_text_is_refused():
    check_case("a" * (MAX_LENGTH + 1), {}, refused(MAX_LENGTH + 1, "characters"))
