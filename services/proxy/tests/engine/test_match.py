import pytest
from engine_support import Request

from mizzen.proxy.engine.match import bind_header, bind_query, bind_string, query_value
from mizzen.proxy.engine.match_plan import HeaderMatch, QueryMatch, StringMatch

STRINGS = [
    (StringMatch("exact", "a"), b"a", True),
    (StringMatch("exact", "a"), b"A", False),
    (StringMatch("exact", "A", ignore_case=True), b"a", True),
    (StringMatch("prefix", "ab"), b"abc", True),
    (StringMatch("prefix", "ab"), b"a", False),
    (StringMatch("prefix", "aB", ignore_case=True), b"AbC", True),
    (StringMatch("suffix", "bc"), b"abc", True),
    (StringMatch("contains", "b"), b"abc", True),
    (StringMatch("contains", "x"), b"abc", False),
    (StringMatch("regex", "a+"), b"aaa", True),
    (StringMatch("regex", "a+"), b"aab", False),
    (StringMatch("regex", "a|ab"), b"ab", True),
    (StringMatch("regex", "a", ignore_case=True), b"A", False),
    (StringMatch("exact", "é"), "é".encode(), True),
]


@pytest.mark.parametrize(("plan", "text", "expected"), STRINGS)
def test_string(plan: StringMatch, text: bytes, expected: bool) -> None:
    assert bind_string(plan)(text) is expected


ONE = StringMatch("exact", "1")
HEADERS = [
    # (condition, headers of the request, expected), as Envoy 1.40 answers
    (HeaderMatch("x-a", None), {}, False),
    (HeaderMatch("x-a", None), {b"X-A": b""}, True),
    (HeaderMatch("x-a", None, invert=True), {}, True),
    (HeaderMatch("x-a", ONE), {b"x-a": b"1"}, True),
    (HeaderMatch("x-a", ONE), {}, False),
    (HeaderMatch("x-a", ONE, invert=True), {}, False),
    (HeaderMatch("x-a", ONE, invert=True), {b"x-a": b"2"}, True),
    (HeaderMatch("x-a", ONE, invert=True), {b"x-a": b"1"}, False),
    (HeaderMatch("x-a", ONE, invert=True, treat_missing_as_empty=True), {}, True),
    (HeaderMatch("x-a", StringMatch("exact", ""), treat_missing_as_empty=True), {}, True),
    (HeaderMatch("x-a", StringMatch("exact", "1,2")), {b"x-a": b"1", b"X-A": b"2"}, True),
    (HeaderMatch(":method", StringMatch("exact", "POST")), {}, True),
    (HeaderMatch(":authority", StringMatch("exact", "shop:80")), {}, True),
    (HeaderMatch("host", StringMatch("exact", "shop:80")), {}, True),
    (HeaderMatch(":scheme", StringMatch("exact", "http")), {}, True),
    (HeaderMatch(":path", StringMatch("suffix", "?q=1")), {}, True),
]


@pytest.mark.parametrize(("plan", "headers", "expected"), HEADERS)
def test_header(plan: HeaderMatch, headers: dict[bytes, bytes], expected: bool) -> None:
    request = Request(b"/a?q=1", b"shop:80", b"POST", headers=tuple(headers.items()))
    assert bind_header(plan).holds(request) is expected


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (b"/", None),
        (b"/?", None),
        (b"/?a", b""),
        (b"/?a=", b""),
        (b"/?a=1&a=2", b"1"),
        (b"/?b&a=b%20c", b"b%20c"),
        (b"/?a=1=2", b"1=2"),
        (b"/?A=1", None),
    ],
)
def test_query_value_is_the_first_one_undecoded(path: bytes, expected: bytes | None) -> None:
    assert query_value(path, b"a") == expected


def test_query_condition_on_value_and_on_presence() -> None:
    assert bind_query(QueryMatch("a", None)).holds(Request(b"/?a"))
    assert not bind_query(QueryMatch("a", None)).holds(Request(b"/?b"))
    assert bind_query(QueryMatch("a", ONE)).holds(Request(b"/?a=1"))
    assert not bind_query(QueryMatch("a", ONE)).holds(Request(b"/"))


def test_bad_regex_is_named() -> None:
    with pytest.raises(ValueError, match=r"regex '\('"):
        bind_string(StringMatch("regex", "("))


def test_conditions_read_as_sentences() -> None:
    assert bind_header(HeaderMatch("end-user", StringMatch("exact", "jason"))).text == 'header end-user exact "jason"'
    assert bind_header(HeaderMatch("x-a", None, invert=True)).text == "header x-a absent"
