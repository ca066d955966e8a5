"""What happens to attributes, maps and entries that are not there, and what of a request is noted as read."""

from __future__ import annotations

from datetime import timedelta

import pytest
from expression_support import FIVE, FOUR, LATER, NOON, VOCABULARY, check_case, fails, missing, table

from mizzen.attributes.bag import DictBag, TrackedBag
from mizzen.mixer.expressions.errors import AttributeMissing
from mizzen.mixer.expressions.expression import compile_expression

ALONE = [
    ("as", {}, missing("as")),
    ("ab", {}, missing("ab")),
    ("ai", {}, missing("ai")),
    ("ad", {}, missing("ad")),
    ("adur", {}, missing("adur")),
    ("at", {}, missing("at")),
    ("aip", {}, missing("aip")),
    ("ar", {}, missing("ar")),
    ('ar["b"]', {}, missing("ar")),
    ('ar["b"]', {"ar": {}}, ""),
    ('ar["b"]', {"ar": {"b": ""}}, ""),
    ("ar[as]", {"ar": {}, "as": "b"}, ""),
    ("ar[as]", {"as": "b"}, missing("ar")),
    ("ar[as]", {"ar": {}}, missing("as")),
    ("ar[as]", {}, missing("ar")),
    ('ar["b"] == ""', {"ar": {}}, True),
    ("request.headers[as] == bs", {"request.headers": {"x": "y"}, "as": "x", "bs": "y"}, True),
]

CHAINS = [
    ('as | ""', {}, ""),
    ('as | ""', {"as": "foo"}, "foo"),
    ('as | "user1"', {"as": ""}, ""),
    ('as | bs | "user1"', {}, "user1"),
    ('as | bs | "user1"', {"bs": "b2"}, "b2"),
    ('as | bs | "user1"', {"as": "a2", "bs": "b2"}, "a2"),
    ("as | bs", {}, missing("bs")),
    ("as | bs", {"bs": "x"}, "x"),
    ("as | (bs | source.name)", {"source.name": "n"}, "n"),
    ("as | (bs | source.name)", {}, missing("source.name")),
    ("(as | bs) | source.name", {"bs": "b"}, "b"),
    ('"foo" | "bar"', {}, "foo"),
    ('as | "x" | bs', {"bs": "b"}, "x"),
    ("ab | true", {"ab": False}, False),
    ("ab | true", {}, True),
    ("ab | bb | true", {"bb": False}, False),
    ("ai | 42", {"ai": 0}, 0),
    ("ai | 42", {}, 42),
    ("ai | bi | 42", {"bi": 20}, 20),
    ("ad | 42.1", {}, 42.1),
    ("ad | bd | 42.1", {"ad": 0.0}, 0.0),
    ('adur | "19ms"', {}, timedelta(milliseconds=19)),
    ('adur | "19ms"', {"adur": timedelta()}, timedelta()),
    ("at | bt", {"bt": LATER}, LATER),
    ("at | bt", {"at": NOON, "bt": LATER}, NOON),
    ("aip | bip", {"bip": FIVE}, FIVE),
    ('aip | ip("1.2.3.4")', {}, FOUR),
    ('source.ip | ip("0.0.0.0")', {"source.ip": FIVE}, FIVE),
    ('aip | ip("10.1.12")', {}, fails("could not convert 10.1.12 to IP_ADDRESS")),
    ('aip | ip("10.1.12")', {"aip": FOUR}, FOUR),
    ('adns | dnsName("foo.bar.baz")', {}, "foo.bar.baz"),
    ('adns | dnsName("foo") | bdns', {"bdns": "b"}, "foo"),
    ('amail | email("istio@istio.io")', {"amail": "a@b"}, "a@b"),
    ('auri | buri | uri("urn:foo")', {}, "urn:foo"),
    ('(adns | dnsName("foo.bar")) == dnsName("foo.Bar.")', {}, True),
    ('ar["c"] | "foo"', {}, "foo"),
    ('ar["c"] | "foo"', {"ar": {}}, "foo"),
    ('ar["c"] | "foo"', {"ar": {"c": "b"}}, "b"),
    ('ar["c"] | "foo"', {"ar": {"c": ""}}, ""),
    ('ar["b"] | ar["c"] | "null"', {"ar": {"c": "x"}}, "x"),
    ('ar["b"] | ar["c"] | "null"', {}, "null"),
    ('ar["b"] | ar["c"]', {"ar": {}}, ""),
    ('ar["b"] | ar["c"]', {}, missing("ar")),
    ('ar[as] | "foo"', {}, "foo"),
    ('ar[as] | "foo"', {"as": "k"}, "foo"),
    ('ar[as] | "foo"', {"ar": {"k": "v"}}, "foo"),
    ('ar[as] | "foo"', {"ar": {}, "as": "k"}, "foo"),
    ('ar[as] | "foo"', {"ar": {"k": "v"}, "as": "k"}, "v"),
    ('ar[as | "k"] | "foo"', {"ar": {"k": "v"}}, "v"),
    ('ar[br["x"]] | "foo"', {"ar": {"k": "v"}, "br": {}}, "foo"),
    ('ar[br["x"]] | "foo"', {"ar": {"": "v"}, "br": {"x": ""}}, "v"),
    ('(ar | br)["foo"]', {"br": {"foo": "far"}}, "far"),
    ('(ar | br)["foo"]', {"ar": {"foo": "bar"}, "br": {"foo": "far"}}, "bar"),
    ('(ar | br)["foo"]', {"ar": {}, "br": {"foo": "far"}}, ""),
    ('(ar | br)["foo"]', {}, missing("br")),
    ('(ar | br)["foo"] | "x"', {}, "x"),
    ('(ar | br)["foo"] | "x"', {"ar": {}}, "x"),
    ('(ar | br)[as] | "x"', {"ar": {"k": "v"}}, "x"),
    ('(ar | br)[as] | "x"', {"ar": {"k": "v"}, "as": "k"}, "v"),
    ('request.api_key | request.headers["x-api-key"] | ""', {"request.headers": {"x-api-key": "k"}}, "k"),
]

CALLS_ARE_NEVER_ABSENT = [
    ("ip(as) | ip(bs)", {"bs": "1.2.3.4"}, missing("as")),
    ("ip(as) | ip(bs)", {"as": "1.2.3.4"}, FOUR),
    ('ip(as | "1.2.3.5")', {}, FIVE),
    ("ip(as | bs)", {}, missing("bs")),
    ("ip(as | bs)", {"bs": "1.2.3.4"}, FOUR),
    ('ip(ar["foo"])', {"ar": {"foo": "1.2.3.4"}}, FOUR),
    ('ip(ar["foo"])', {"ar": {}}, fails("could not convert  to IP_ADDRESS")),
    ('true | "foo".startsWith("bar")', {}, True),
    ('"foo".startsWith("bar") | true', {}, False),
    ('"foo".startsWith("bar") | ab', {"ab": True}, False),
    ('ab | "foo".startsWith("f")', {}, True),
    ('ab | "foo".startsWith("f")', {"ab": False}, False),
    ('ab | bb | "foo".startsWith("bar")', {}, False),
    ('ab | "foo".startsWith("bar") | true', {}, False),
    ('as.startsWith("a") | true', {}, missing("as")),
    ('conditional(ab, "foo", "bar") | as', {"ab": True}, "foo"),
    ('conditional(ab, "foo", "bar") | as', {"as": "x"}, missing("ab")),
    ('as | conditional(ab, "foo", "bar")', {"ab": False}, "bar"),
    ("conditional(ab, as, bs) | source.name", {"ab": True, "source.name": "x"}, missing("as")),
    ("conditional(ab | true, as, bs)", {"as": "x"}, "x"),
    ("(as == bs) | ab", {"ab": True}, missing("as")),
    ("(as == bs) | ab", {"as": "x", "bs": "x", "ab": False}, True),
    ("as + bs | source.name", {"as": "a", "source.name": "x"}, missing("bs")),
]


@table(ALONE)
def test_absence_is_an_error(text, attributes, outcome):
    check_case(text, attributes, outcome)


@table(CHAINS)
def test_fallbacks(text, attributes, outcome):
    check_case(text, attributes, outcome)


@table(CALLS_ARE_NEVER_ABSENT)
def test_calls_are_never_absent(text, attributes, outcome):
    check_case(text, attributes, outcome)


def test_the_error_of_an_absent_attribute_names_it():
    with pytest.raises(AttributeMissing) as error:
        compile_expression("as == bs", VOCABULARY).evaluate(DictBag({"as": "x"}))
    assert error.value.name == "bs"


@pytest.mark.parametrize(
    ("text", "attributes", "reads"),
    [
        ('ai == 20 || ar["foo"] == "bar"', {"ai": 20, "ar": {}}, {"ai": True}),
        ('ai == 20 || ar["foo"] == "bar"', {"ai": 2, "ar": {"foo": "x"}}, {"ai": True, ("ar", "foo"): True}),
        ('ai == 20 || ar["foo"] == "bar"', {"ai": 2, "ar": {}}, {"ai": True, ("ar", "foo"): False}),
        ('ar["a"] | ar["b"] | "x"', {"ar": {"b": "y"}}, {("ar", "a"): False, ("ar", "b"): True}),
        ('ar["a"] | "x"', {}, {"ar": False}),
        ('ar[as] | "x"', {"as": "k"}, {"ar": False}),
        ('ar[as] | "x"', {"as": "k", "ar": {}}, {"as": True, ("ar", "k"): False}),
        ("as | bs", {"bs": "x"}, {"as": False, "bs": True}),
        ("ab && bb", {"ab": False, "bb": True}, {"ab": True}),
        ('conditional(ab, as, bs) | "x"', {"ab": True, "as": "a", "bs": "b"}, {"ab": True, "as": True}),
        ("true", {"as": "a"}, {}),
    ],
)
def test_only_what_decides_is_read(text, attributes, reads):
    bag = TrackedBag(DictBag(attributes))
    compile_expression(text, VOCABULARY).evaluate(bag)
    assert bag.reads == reads


@pytest.mark.parametrize("text", ['ar["b"]', "ar[as]"])
def test_an_absent_map_is_read_as_absent_also_where_that_is_an_error(text):
    bag = TrackedBag(DictBag({"as": "b"}))
    with pytest.raises(AttributeMissing):
        compile_expression(text, VOCABULARY).evaluate(bag)
    assert bag.reads == {"ar": False}
