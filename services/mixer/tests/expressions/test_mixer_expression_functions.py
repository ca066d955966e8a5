"""Every function: values, errors of evaluation, and errors of type."""

from __future__ import annotations

from datetime import UTC, datetime
from ipaddress import ip_address

import pytest
from expression_support import FOUR, NOON, VOCABULARY, check_case, fails, missing, refused, table

from mizzen.mixer.expressions.expression import compile_expression

NO_TIMESTAMP = "to TIMESTAMP. expected format: '2006-01-02T15:04:05Z07:00'"

CONVERSIONS = [
    ('ip("1.2.3.4")', {}, FOUR),
    ('ip("0.0.0.0")', {}, ip_address("0.0.0.0")),
    ('ip("2001:db8::1")', {}, ip_address("2001:db8::1")),
    ('ip("::ffff:1.2.3.4")', {}, FOUR),
    ("ip(as)", {"as": "1.2.3.4"}, FOUR),
    ("ip(as)", {}, missing("as")),
    ("ip(as)", {"as": "10.1.12"}, fails("could not convert 10.1.12 to IP_ADDRESS")),
    ("ip(as)", {"as": ""}, fails("could not convert  to IP_ADDRESS")),
    ("ip(as)", {"as": "fe80::1%eth0"}, fails("could not convert fe80::1%eth0 to IP_ADDRESS")),
    ("ip(as)", {"as": "1.2.3.4/8"}, fails("to IP_ADDRESS")),
    ('ip("A.A.A.A")', {}, fails("could not convert A.A.A.A to IP_ADDRESS")),
    ("ip(2)", {}, refused(4, "ip(2) arg 1 (2) typeError got INT64, expected STRING")),
    ("ip()", {}, refused(1, "ip() arity mismatch. Got 0 arg(s), expected 1 arg(s)")),
    ("ip(as, bs)", {}, refused(1, "ip($as, $bs) arity mismatch. Got 2 arg(s), expected 1 arg(s)")),
    ("as.ip()", {}, refused(4, "invoking regular function on instance method: ip")),
    ('timestamp("2018-07-31T12:00:00Z")', {}, NOON),
    ('timestamp("2018-07-31T14:00:00+02:00")', {}, NOON),
    ('timestamp("2015-01-02T15:04:35.123456789Z")', {}, datetime(2015, 1, 2, 15, 4, 35, 123456, UTC)),
    ('timestamp("2015-01-02T15:04:35.5Z")', {}, datetime(2015, 1, 2, 15, 4, 35, 500000, UTC)),
    ("timestamp(as)", {"as": "2018-07-31T12:00:00Z"}, NOON),
    ("timestamp(as)", {}, missing("as")),
    ('timestamp("242233")', {}, fails(f"could not convert '242233' {NO_TIMESTAMP}")),
    ("timestamp(as)", {"as": "2018-02-30T12:00:00Z"}, fails(NO_TIMESTAMP)),
    ("timestamp(as)", {"as": "2018-07-31 12:00:00Z"}, fails(NO_TIMESTAMP)),
    ("timestamp(as)", {"as": "2018-07-31T12:00:00"}, fails(NO_TIMESTAMP)),
    ("timestamp(as)", {"as": "2018-07-31T12:00Z"}, fails(NO_TIMESTAMP)),
    ("timestamp(as)", {"as": "2018-07-31T12:00:00+99:00"}, fails(NO_TIMESTAMP)),
    ("timestamp(as)", {"as": "0001-01-01T00:00:00+10:00"}, fails(NO_TIMESTAMP)),
    ("timestamp(as)", {"as": "0000-01-01T00:00:00Z"}, fails(NO_TIMESTAMP)),
    ("timestamp(2)", {}, refused(11, "timestamp(2) arg 1 (2) typeError got INT64, expected STRING")),
    ("uri(as)", {"as": "urn:foo"}, "urn:foo"),
    ("uri(as)", {}, missing("as")),
    ('uri("")', {}, fails("error converting string to uri: empty string")),
    ("uri(as)", {"as": ":/"}, fails("error converting string to uri ':/': 'missing protocol scheme'")),
    ("uri(adns)", {}, refused(5, "typeError got DNS_NAME, expected STRING")),
    ("dnsName(as)", {}, missing("as")),
    ('dnsName("")', {}, fails("error converting '' to dns name: 'invalid label \"\"'")),
    ("dnsName(as)", {"as": "-foo.-bar"}, fails("error converting '-foo.-bar' to dns name: 'invalid label \"-foo\"'")),
    ("dnsName(1)", {}, refused(9, "typeError got INT64, expected STRING")),
    ("email(as)", {}, missing("as")),
    ('email("")', {}, fails("error converting '' to e-mail:")),
    ("email(as)", {"as": "barfoo"}, fails("error converting 'barfoo' to e-mail:")),
    ("email(as)", {"as": "aaaa <johndoe@bar.com>"}, fails("display names are not allowed")),
    ("email(true)", {}, refused(7, "typeError got BOOL, expected STRING")),
]

TEXTS = [
    ('match(as, "ns1.*")', {"as": "ns1.svc.local"}, True),
    ('match(as, "ns2.*")', {"as": "ns1.svc.local"}, False),
    ('match(as, "*.ns1.cluster")', {"as": "svc1.ns1.cluster"}, True),
    ('match(as, "*.ns1.cluster")', {"as": "svc1.ns2.cluster"}, False),
    ('match(as, "svc1")', {"as": "svc1"}, True),
    ('match(as, "svc1")', {"as": "svc12"}, False),
    ('match(as, "*")', {"as": ""}, True),
    ('match(as, "*a*")', {"as": "xa"}, False),
    ('match(as, "*a*")', {"as": "*ab"}, True),
    ('match(as, "a*b")', {"as": "axb"}, False),
    ("match(as, bs)", {"as": "abc", "bs": "ab*"}, True),
    ("match(as, bs)", {"as": "abc", "bs": "*bc"}, True),
    ("match(as, bs)", {"bs": "*.aaa"}, missing("as")),
    ("match(as, bs)", {"as": "svc1"}, missing("bs")),
    ('match("abc", "ab*")', {}, True),
    ('match(ar["user-agent"], "curl*")', {"ar": {"user-agent": "curlish"}}, True),
    ('match(ar["user-agent"], "curl*")', {"ar": {}}, False),
    ('match(ar["user-agent"], "curl*")', {}, missing("ar")),
    ("match(as, 1)", {}, refused(11, "match($as, 1) arg 2 (1) typeError got INT64, expected STRING")),
    ("match(as)", {}, refused(1, "match($as) arity mismatch. Got 1 arg(s), expected 2 arg(s)")),
    ('as.match("a")', {}, refused(4, "invoking regular function on instance method: match")),
    ('"abc".matches("abc")', {}, True),
    ('".*".matches("abc")', {}, True),
    ('"ab.*d".matches("abc")', {}, False),
    ('"b".matches("abc")', {}, True),
    ('"^b".matches("abc")', {}, False),
    ("as.matches(bs)", {"as": "st.*", "bs": "str1"}, True),
    ("as.matches(bs)", {"as": "st.*", "bs": "sqr1"}, False),
    ('"^/v[0-9]+/".matches(request.path)', {"request.path": "/v1/x"}, True),
    (r'"^/v\\d+/".matches(as)', {"as": "/vx/"}, False),
    (r"`^/v\d+/`.matches(as)", {"as": "/v1/"}, True),
    ('"(?i)ABC".matches(as)', {"as": "xabcx"}, True),
    ('"a".matches(as)', {}, missing("as")),
    ('as.matches("a")', {}, missing("as")),
    ('"*".matches(as)', {"as": "a"}, fails("error parsing regexp: no argument for repetition operator: *")),
    ('"(".matches("a")', {}, fails("error parsing regexp")),
    ("as.matches(bs)", {"as": "[", "bs": "a"}, fails("error parsing regexp")),
    ("as.matches(bs)", {"as": "(?=a)", "bs": "a"}, fails("error parsing regexp")),
    ('"a".matches(as)', {"as": "\ud800"}, fails("not Unicode")),
    ('"aaa".matches(23)', {}, refused(15, '"aaa":matches(23) arg 1 (23) typeError got INT64, expected STRING')),
    ('matches("aaa")', {}, refused(1, "invoking instance method without an instance: matches")),
    ("matches()", {}, refused(1, "invoking instance method without an instance: matches")),
    ('ai.matches("a")', {}, refused(1, '$ai:matches("a") target typeError got INT64, expected STRING')),
    ('"abcd".startsWith("abc")', {}, True),
    ('"cba".startsWith("a")', {}, False),
    ('"abc".startsWith("")', {}, True),
    ("as.startsWith(bs)", {"as": "abc", "bs": "abcd"}, False),
    ("as.startsWith(bs)", {"as": "abc"}, missing("bs")),
    ('"aaa".startsWith(23)', {}, refused(18, '"aaa":startsWith(23) arg 1 (23) typeError got INT64, expected STRING')),
    ("startsWith()", {}, refused(1, "invoking instance method without an instance: startsWith")),
    ("as.startsWith()", {}, refused(4, "$as:startsWith() arity mismatch. Got 0 arg(s), expected 1 arg(s)")),
    ('"abc".endsWith("bc")', {}, True),
    ('"abc".endsWith("dabc")', {}, False),
    ("as.endsWith(bs)", {"as": "abc", "bs": ""}, True),
    ("as.endsWith(bs)", {"bs": "c"}, missing("as")),
    ('ab.endsWith("c")', {}, refused(1, "target typeError got BOOL, expected STRING")),
    ('endsWith("a", "b")', {}, refused(1, "invoking instance method without an instance: endsWith")),
    ("toLower(as)", {"as": "AbÇ"}, "abç"),
    ('toLower("ABC")', {}, "abc"),
    ("toLower(as)", {}, missing("as")),
    ("toLower(ai)", {}, refused(9, "typeError got INT64, expected STRING")),
    ("size(as)", {"as": "abc"}, 3),
    ("size(as)", {"as": "aµ"}, 3),
    ('size("")', {}, 0),
    ("size(as) > 2", {"as": "abc"}, True),
    ("size(as)", {}, missing("as")),
    ("size(ar)", {}, refused(6, "typeError got STRING_MAP, expected STRING")),
]

OTHERS = [
    ("emptyStringMap()", {}, {}),
    ("source.labels | emptyStringMap()", {}, {}),
    ("source.labels | emptyStringMap()", {"source.labels": {"a": "b"}}, {"a": "b"}),
    ("emptyStringMap() | source.labels", {"source.labels": {"a": "b"}}, {}),
    ('emptyStringMap()["a"]', {}, ""),
    ('emptyStringMap()["a"] | "x"', {}, "x"),
    ("emptyStringMap(1)", {}, refused(1, "arity mismatch. Got 1 arg(s), expected 0 arg(s)")),
    ('conditional(ab, "a", "b")', {"ab": True}, "a"),
    ('conditional(ab, "a", "b")', {"ab": False}, "b"),
    ('conditional(ab, "a", "b")', {}, missing("ab")),
    ("conditional(true, as, bs)", {"as": "x"}, "x"),
    ("conditional(ab, as, bs)", {"ab": False, "bs": "y"}, "y"),
    ("conditional(ab, as, bs)", {"ab": True, "bs": "y"}, missing("as")),
    ("conditional(ab, 23, 42)", {"ab": True}, 23),
    ("conditional(ab, ar, br)", {"ab": False, "br": {"k": "v"}}, {"k": "v"}),
    ('conditional(ab, ar, br)["k"]', {"ab": False, "br": {"k": "v"}}, "v"),
    ('conditional((context.reporter.kind | "inbound") == "outbound", "source", "destination")', {}, "destination"),
    (
        'conditional(ab, "unknown", conditional(bb | false, "mutual_tls", "none"))',
        {"ab": False, "bb": True},
        "mutual_tls",
    ),
    ('conditional(as, "a", "b")', {}, refused(13, "arg 1 ($as) typeError got STRING, expected BOOL")),
    ("conditional(ab, as, ai)", {}, refused(21, "arg 3 ($ai) typeError got INT64, expected STRING")),
    ('conditional(ab, "a")', {}, refused(1, "arity mismatch. Got 2 arg(s), expected 3 arg(s)")),
    ('conditionalString(ab, "a", "b")', {"ab": True}, "a"),
    ('conditionalString(ab, "a", "b")', {"ab": False}, "b"),
    ("conditionalString(ab, as, bs)", {"ab": True, "as": "a"}, missing("bs")),
    ("conditionalString(ab, 1, 2)", {}, refused(23, "arg 2 (1) typeError got INT64, expected STRING")),
    ("reverse(as)", {}, refused(1, "unknown function: reverse")),
    ("as.reverse()", {}, refused(4, "unknown function: reverse")),
    ("dnsName_equal(adns, bdns)", {}, refused(1, "unknown function: dnsName_equal")),
    ("request.pth", {}, refused(1, "unknown attribute request.pth; did you mean request.path?")),
    ('request.headerzzzz["a"]', {}, refused(1, "unknown attribute request.headerzzzz")),
    ("nosuch", {}, refused(1, "unknown attribute nosuch")),
    ("as | nosuch", {}, refused(6, "unknown attribute nosuch")),
    ("$out.x", {}, refused(1, "unknown attribute $out.x")),
    ("ar[ai]", {}, refused(4, "INDEX($ar, $ai) arg 2 ($ai) typeError got INT64, expected STRING")),
    ('as["a"]', {}, refused(1, 'INDEX($as, "a") arg 1 ($as) typeError got STRING, expected STRING_MAP')),
    ('ar["a"]["b"]', {}, refused(3, "typeError got STRING, expected STRING_MAP")),
    ('ar["10s"]', {}, refused(4, "typeError got DURATION, expected STRING")),
]


@table(CONVERSIONS)
def test_conversions(text, attributes, outcome):
    check_case(text, attributes, outcome)


@table(TEXTS)
def test_texts(text, attributes, outcome):
    check_case(text, attributes, outcome)


@table(OTHERS)
def test_other_functions_and_indexes(text, attributes, outcome):
    check_case(text, attributes, outcome)


DNS_NAMES = ["foo", "foo.", "fOO", "f00", "f00.", "a-b.c-d", "bücher.example", "xn--bcher-kva.example", "a" * 63 + ".x"]
NO_DNS_NAMES = ["", ".", "b..a", "b..a.", "-a", "b.-a.c", "f-", "f-.", "f-.boo", "ab--c.boo", "a_b", "a b", "xn--",
                "xn--\ud800", "a" * 64, ".".join(["a" * 60] * 5), "א0a", "\u0300a", "\ud800"]  # fmt: skip
EMAILS = ["foo@bar", "foo+a@bar.com", '"john..doe"@bar.com', "<a@b.c>", " a@b ", "naïve@bücher.example"]
NO_EMAILS = [
    "foo",
    "foo.",
    "foo@",
    "@foo",
    "foo+a@bar-.com",
    "foo..baz@bar.com",
    "a b@c",
    "a@b@c",
    '"a@b',
    "a@[1.2.3.4]",
]
URIS = ["urn:foo/bar?q=5#frr", "http://foo/bar/?q=4#fr", "fs:/foo", "foo", "/a", "http://[fe80::1%25en0]", "http://u:p@h:1/",
        "http://h:", "//h/p"]  # fmt: skip
NO_URIS = [
    "",
    ":/",
    ":a",
    "http://[fe80::1%25en0",
    "1:2",
    "a b:c",
    "http://h:port/",
    "%zz",
    "http://h/%",
    "a\nb",
    "#%g",
]


@pytest.mark.parametrize(
    ("function", "text", "good"),
    [
        *(("dnsName", text, True) for text in DNS_NAMES),
        *(("dnsName", text, False) for text in NO_DNS_NAMES),
        *(("email", text, True) for text in EMAILS),
        *(("email", text, False) for text in NO_EMAILS),
        *(("uri", text, True) for text in URIS),
        *(("uri", text, False) for text in NO_URIS),
    ],
)
def test_what_converts_is_kept_as_written(function, text, good):
    check_case(f"{function}(as)", {"as": text}, text if good else fails("error converting"))


SAME = {
    "dns": [("FOO", "foo"), ("foo.", "foo"), ("boo", "boo."), ("BÜCHER.x", "xn--bcher-kva.x"), ("zoo.", "zoo.")],
    "mail": [("foo@Bar.com", "foo@bar.com."), ('"foo"@bar.com', "foo@bar.com"), ("<a@b>", "a@b")],
    "uri": [("urn:bar", "URN:bar"), ("http://HOST.com:80", "http://host.COM:80"), ("HTTP://host.com:", "http://host.com"),
            ("http://foo.bar.", "http://Foo.bar"), ("http://[::1]/", "http://[0:0::1]/"), ("foo", "foo")],
}  # fmt: skip
DIFFERENT = {
    "dns": [("foo.bar-a.", "foo.bar"), ("a", "b")],
    "mail": [("foo@bar.com", "foo@foo.com"), ("Foo@bar.com", "foo@bar.com")],
    "uri": [("urn:BAR", "urn:bar"), ("http://host", "http://host/"), ("http://host:80", "http://host:81"),
            ("http://host.com", "https://host.com"), ("http://a/b?c", "http://a/b"), ("http://u@a", "http://a")],
}  # fmt: skip
INCOMPARABLE = {
    "dns": [("a-", "a"), ("b", "b-"), ("", "a")],
    "mail": [("foo..baz@bar.com", "foo@bar.com"), ("foo@bar.com", "foo")],
    "uri": [(":/", "a"), ("a", ":/"), ("http://a_b", "http://c_d")],
}


@pytest.mark.parametrize(
    ("kind", "left", "right", "outcome"),
    [
        *((kind, *pair, True) for kind, pairs in SAME.items() for pair in pairs),
        *((kind, *pair, False) for kind, pairs in DIFFERENT.items() for pair in pairs),
        *((kind, *pair, fails("error converting")) for kind, pairs in INCOMPARABLE.items() for pair in pairs),
    ],
)
def test_equality_of_names_is_by_meaning(kind, left, right, outcome):
    check_case(f"a{kind} == b{kind}", {f"a{kind}": left, f"b{kind}": right}, outcome)
    opposite = (not outcome) if isinstance(outcome, bool) else outcome
    check_case(f"a{kind} != b{kind}", {f"a{kind}": left, f"b{kind}": right}, opposite)


@pytest.mark.parametrize(
    ("text", "column", "doubt"),
    [
        ('source.ip | ip("10.1.12")', 13, "could not convert 10.1.12"),
        ('"[".matches(as)', 1, "error parsing regexp"),
        ('at | timestamp("today")', 6, "could not convert 'today'"),
    ],
)
def test_constants_without_a_value_are_pointed_out(text, column, doubt):
    (found,) = compile_expression(text, VOCABULARY).doubts
    assert found.column == column
    assert doubt in str(found)


@pytest.mark.parametrize(
    ("text", "is_constant"),
    [
        ('"a" + "b" == "ab" && size("abc") == 3', True),
        ('conditional("a".startsWith("a"), ip("1.2.3.4"), source.ip)', True),
        ('"x" | as', True),
        ("as == as", False),
        ('as | "x"', False),
        ("true && ab", False),
    ],
)
def test_constant_parts_are_computed_once(text, is_constant):
    assert compile_expression(text, VOCABULARY).is_constant is is_constant
