"""Operators: values, types, and errors of type."""

from __future__ import annotations

from datetime import timedelta

from expression_support import FIVE, FOUR, LATER, MAPPED, NOON, SIX, check_case, fails, missing, refused, table

SAME = {"as": "x", "bs": "x", "ai": 2, "bi": 2, "ad": 2.5, "bd": 2.5, "ab": True, "bb": True, "at": NOON, "bt": NOON,
        "aip": FOUR, "bip": FOUR, "adns": "a.b", "bdns": "a.b", "amail": "a@b", "bmail": "a@b", "auri": "urn:a",
        "buri": "urn:a", "adur": timedelta(1), "bdur": timedelta(1), "ar": {}, "br": {}}  # fmt: skip
OTHER = {**SAME, "bs": "y", "bi": 3, "bd": 2.75, "bb": False, "bt": LATER, "bip": FIVE, "bdns": "a.c", "bmail": "b@b",
         "buri": "urn:b"}  # fmt: skip
PAIRS = ["s", "i", "d", "b", "t", "ip", "dns", "mail", "uri"]

EQUALITY = [
    *((f"a{kind} == b{kind}", SAME, True) for kind in PAIRS),
    *((f"a{kind} == b{kind}", OTHER, False) for kind in PAIRS),
    *((f"a{kind} != b{kind}", SAME, False) for kind in PAIRS),
    *((f"a{kind} != b{kind}", OTHER, True) for kind in PAIRS),
    *((f"a{kind} == b{kind}", {f"b{kind}": SAME[f"b{kind}"]}, missing(f"a{kind}")) for kind in PAIRS),
    *((f"a{kind} == b{kind}", {f"a{kind}": SAME[f"a{kind}"]}, missing(f"b{kind}")) for kind in PAIRS),
    ("adur == bdur", SAME, refused(6, "EQ is not implemented for DURATION")),
    ('adur != "1s"', SAME, refused(6, "NEQ is not implemented for DURATION")),
    ("ar == br", SAME, refused(4, "EQ is not implemented for STRING_MAP")),
    ("ai == 2", {"ai": 2}, True),
    ("2 == ai", {"ai": 3}, False),
    ("ai != 2", {}, missing("ai")),
    ("2 != ai", {}, missing("ai")),
    ("3 == 2", {}, False),
    ("3 != 2", {}, True),
    ("true == false", {}, False),
    ('"ABC" == "ABC"', {}, True),
    ('"ABC" != "ABC"', {}, False),
    ("23.45 == 45.23", {}, False),
    ("ab == false", {"ab": False}, True),
    ('as == "x"', {"as": "x"}, True),
    ('as == "x"', {}, missing("as")),
    ('ar["k"] == "v"', {"ar": {"k": "v"}}, True),
    ('(as | "unknown") == "users"', {}, False),
    ('request.method == "GET"', {"request.method": "GET"}, True),
    ("aip == bip", {"aip": FOUR, "bip": MAPPED}, True),
    ("aip == bip", {"aip": MAPPED, "bip": FOUR}, True),
    ("aip == bip", {"aip": FOUR, "bip": SIX}, False),
    ('aip == ip("1.2.3.4")', {"aip": MAPPED}, True),
    ('aip == ip("::ffff:1.2.3.4")', {"aip": FOUR}, True),
    ('aip == ip("2001:DB8:0::1")', {"aip": SIX}, True),
    ('at == timestamp("2018-07-31T14:00:00+02:00")', {"at": NOON}, True),
    ('ai == "2"', {}, refused(7, 'EQ($ai, "2") arg 2 ("2") typeError got STRING, expected INT64')),
    ("true == ai", {}, refused(9, "EQ(true, $ai) arg 2 ($ai) typeError got INT64, expected BOOL")),
    ("3.14 == ai", {}, refused(9, "EQ(3.14, $ai) arg 2 ($ai) typeError got INT64, expected DOUBLE")),
    ("adns == as", {}, refused(9, "EQ($adns, $as) arg 2 ($as) typeError got STRING, expected DNS_NAME")),
    ("amail != as", {}, refused(10, "NEQ($amail, $as) arg 2 ($as) typeError got STRING, expected EMAIL_ADDRESS")),
    ("auri == as", {}, refused(9, "EQ($auri, $as) arg 2 ($as) typeError got STRING, expected URI")),
    ('aip == "1.2.3.4"', {}, refused(8, "typeError got STRING, expected IP_ADDRESS")),
    ('as == "10s"', {}, refused(7, "typeError got DURATION, expected STRING")),
]

ORDER = [
    *((f"a{kind} < b{kind}", OTHER, True) for kind in ("s", "i", "d", "t")),
    *((f"a{kind} <= b{kind}", SAME, True) for kind in ("s", "i", "d", "t")),
    *((f"a{kind} > b{kind}", OTHER, False) for kind in ("s", "i", "d", "t")),
    *((f"a{kind} >= b{kind}", SAME, True) for kind in ("s", "i", "d", "t")),
    ("ai < 2", {"ai": 1}, True),
    ("ai >= 2", {"ai": 1}, False),
    ('as > "a"', {"as": "b"}, True),
    ('"a" < "b"', {}, True),
    ("ai < 2", {}, missing("ai")),
    ("response.code >= 500", {"response.code": 503}, True),
    ("ab < bb", {}, refused(4, "LT is not implemented for BOOL; it takes DOUBLE, INT64, STRING, TIMESTAMP")),
    ("aip <= bip", {}, refused(5, "LEQ is not implemented for IP_ADDRESS")),
    ("adur > bdur", {}, refused(6, "GT is not implemented for DURATION")),
    ("ai >= 2.0", {}, refused(7, "GEQ($ai, 2.0) arg 2 (2.0) typeError got DOUBLE, expected INT64")),
]

LOGIC = [
    *(
        (f"{str(a).lower()} {sign} {str(b).lower()}", {}, (a or b) if sign == "||" else (a and b))
        for sign in ("||", "&&")
        for a in (True, False)
        for b in (True, False)
    ),
    *(
        (f"ab {sign} bb", {"ab": a, "bb": b}, (a or b) if sign == "||" else (a and b))
        for sign in ("||", "&&")
        for a in (True, False)
        for b in (True, False)
    ),
    ("ab || bb", {"ab": True}, True),
    ("ab && bb", {"ab": False}, False),
    ("ab || bb", {"ab": False}, missing("bb")),
    ("ab && bb", {"ab": True}, missing("bb")),
    ("ab || bb", {"bb": True}, missing("ab")),
    ("ab && bb", {"bb": False}, missing("ab")),
    ("true || ab", {}, True),
    ("false && ab", {}, False),
    ("false || ab", {"ab": True}, True),
    ("true && ab", {"ab": False}, False),
    ("ab || true", {}, missing("ab")),
    ("ab && false", {}, missing("ab")),
    ("ab && false", {"ab": True}, False),
    ("false || true || false", {}, True),
    ("true && true && false", {}, False),
    ("ab || false || bb", {"ab": False, "bb": True}, True),
    ("ab && true && bb", {"ab": True, "bb": True}, True),
    ("ab || bb || ai == 1", {"ab": False, "bb": False, "ai": 1}, True),
    ("ab && bb && ai == 1", {"ab": True, "bb": True, "ai": 2}, False),
    ("(ai == 20 && bi == 10) || ai == 30", {"ai": 20, "bi": 10}, True),
    ('ai == 20 || ar["foo"] == "bar"', {"ai": 2, "ar": {"foo": "bar"}}, True),
    ("as || bs", {}, refused(1, "LOR($as, $bs) arg 1 ($as) typeError got STRING, expected BOOL")),
    ("ab && bs", {}, refused(7, "LAND($ab, $bs) arg 2 ($bs) typeError got STRING, expected BOOL")),
    ("ab || bb || 1", {}, refused(13, "LOR(LOR($ab, $bb), 1) arg 2 (1) typeError got INT64, expected BOOL")),
    ("LAND(ab)", {}, refused(1, "LAND($ab) arity mismatch. Got 1 arg(s), expected 2 arg(s)")),
]

SUMS = [
    ("as + bs", {"as": "a", "bs": "b"}, "ab"),
    ('as + "b"', {"as": "a"}, "ab"),
    ('"b" + as', {"as": "a"}, "ba"),
    ('"a" + "b"', {}, "ab"),
    ('as + (bs | "b") + "c"', {"as": "a"}, "abc"),
    ("ai + bi", {"ai": 1, "bi": 2}, 3),
    ("ai + 2", {"ai": 1}, 3),
    ("1 + 2 + 3", {}, 6),
    ("ai + 1", {"ai": 2**63 - 1}, -(2**63)),
    ("ai + bi", {"ai": -(2**63), "bi": -1}, 2**63 - 1),
    ("ad + bd", {"ad": 1.0, "bd": 2.0}, 3.0),
    ("ad + 2.0", {"ad": 1.0}, 3.0),
    ("ai + bi", {"ai": 1}, missing("bi")),
    ("as + bs", {"bs": "b"}, missing("as")),
    ('1 + "b"', {}, refused(5, 'ADD(1, "b") arg 2 ("b") typeError got STRING, expected INT64')),
    ("1 + as", {}, refused(5, "ADD(1, $as) arg 2 ($as) typeError got STRING, expected INT64")),
    ("as + 1.0", {}, refused(6, "ADD($as, 1.0) arg 2 (1.0) typeError got DOUBLE, expected STRING")),
    ("ab + bb", {}, refused(4, "ADD is not implemented for BOOL; it takes DOUBLE, INT64, STRING")),
    ("adur + bdur", {}, refused(6, "ADD is not implemented for DURATION")),
    ("+as", {}, refused(1, "ADD($as) arity mismatch. Got 1 arg(s), expected 2 arg(s)")),
]

UNKNOWN = [
    ("!ab", {}, refused(1, "unknown function: NOT")),
    ("-ai", {}, refused(1, "unknown function: SUB")),
    ("ai == -1", {}, refused(7, "unknown function: SUB")),
    ("ai - bi", {}, refused(4, "unknown function: SUB")),
    ("ai * bi", {}, refused(4, "unknown function: MUL")),
    ("(ai/bi) == 30", {}, refused(4, "unknown function: QUO")),
    ("ai % 5", {}, refused(4, "unknown function: REM")),
    ("ai & bi", {}, refused(4, "unknown function: AND")),
    ("^ai", {}, refused(1, "unknown function: XOR")),
    ("ai << 2", {}, refused(4, "unknown function: SHL")),
    ("ai >> 2", {}, refused(4, "unknown function: SHR")),
    ("ai &^ bi", {}, refused(4, "unknown function: AND_NOT")),
]

WRONG_TYPES = [
    ("as", {"as": 20}, fails("error converting value to string: '20'")),
    ("ab", {"ab": 1}, fails("error converting value to bool: '1'")),
    ("ai", {"ai": "x"}, fails("error converting value to integer or duration: 'x'")),
    ("ai", {"ai": True}, fails("error converting value to integer or duration: 'True'")),
    ("ai", {"ai": 1.0}, fails("error converting value to integer or duration")),
    ("ad", {"ad": 1}, fails("error converting value to double: '1'")),
    ("adur", {"adur": 5}, fails("error converting value to integer or duration: '5'")),
    ("at", {"at": "now"}, fails("error converting value to timestamp")),
    ("at", {"at": NOON.replace(tzinfo=None)}, fails("error converting value to timestamp")),
    ("at | bt", {"at": NOON.replace(tzinfo=None)}, fails("error converting value to timestamp")),
    ("aip", {"aip": b"\x01\x02"}, fails("error converting value to IP address")),
    ("adns", {"adns": 1}, fails("error converting value to string: '1'")),
    ("amail", {"amail": 1}, fails("error converting value to string: '1'")),
    ("auri", {"auri": 1}, fails("error converting value to string: '1'")),
    ("ar", {"ar": "text"}, fails("error converting value to string map: 'text'")),
    ('ar["k"]', {"ar": "text"}, fails("error converting value to string map: 'text'")),
    ("ar[as]", {"ar": 1, "as": "k"}, fails("error converting value to string map: '1'")),
    ('as | "x"', {"as": 20}, fails("error converting value to string: '20'")),
    ("ab | true", {"ab": "yes"}, fails("error converting value to bool: 'yes'")),
    ('as == "x"', {"as": 20}, fails("error converting value to string: '20'")),
    ('match(as, "*.ns1")', {"as": 20}, fails("error converting value to string: '20'")),
]


@table(EQUALITY)
def test_equality(text, attributes, outcome):
    check_case(text, attributes, outcome)


@table(ORDER)
def test_order(text, attributes, outcome):
    check_case(text, attributes, outcome)


@table(LOGIC)
def test_logic(text, attributes, outcome):
    check_case(text, attributes, outcome)


@table(SUMS)
def test_sums(text, attributes, outcome):
    check_case(text, attributes, outcome)


@table(UNKNOWN)
def test_operators_of_go_that_are_not_there(text, attributes, outcome):
    check_case(text, attributes, outcome)


@table(WRONG_TYPES)
def test_values_that_are_not_of_their_declared_type(text, attributes, outcome):
    check_case(text, attributes, outcome)
