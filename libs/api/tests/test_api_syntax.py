"""The small languages in strings."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mizzen.api import syntax


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [
        ("1.5s", 1500),
        ("1h2m3s", 3_723_000),
        ("250ms", 250),
        ("0s", 0),
        ("0", 0),
        (".5s", 500),
        ("1.s", 1000),
        ("3000us", 3),
        ("2000000ns", 2),
        ("1h0.001s", 3_600_001),
    ],
)
def test_durations(text, milliseconds):
    assert syntax.parse_duration(text) == timedelta(milliseconds=milliseconds)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("5", "'5' is not a duration: write numbers with units (ms, s, m, h) like 1.5s or 1h30m"),
        ("", "'' is not a duration: write numbers with units (ms, s, m, h) like 1.5s or 1h30m"),
        ("1 s", "'1 s' is not a duration: write numbers with units (ms, s, m, h) like 1.5s or 1h30m"),
        ("-1s", "a duration must not be negative, got '-1s'"),
        ("100us", "'100us' is too fine: durations are at least 1ms"),
        ("1.0005s", "'1.0005s' is too fine: durations are whole milliseconds"),
        ("99999999h", "'99999999h' is too long: at most 87600h"),
    ],
)
def test_bad_durations(text, message):
    with pytest.raises(ValueError) as error:  # noqa: PT011 - the text is compared
        syntax.parse_duration(text)
    assert str(error.value) == message


@given(st.integers(min_value=0, max_value=10**11))
def test_a_written_duration_is_read_as_itself(milliseconds):
    value = timedelta(milliseconds=milliseconds)
    assert syntax.parse_duration(syntax.format_duration(value)) == value


@pytest.mark.parametrize(
    "host",
    ["reviews", "reviews.shop.svc.cluster.local", "Example.COM", "a.b.", "*", "*.example.com", "*-x.example.com"],
)
def test_hosts(host):
    syntax.check_host(host)


@pytest.mark.parametrize(
    ("host", "message"),
    [
        ("", "a host must not be empty"),
        ("a..b", "'a..b' is not a host name: it has an empty part, not letters, digits and inner dashes (at most 63)"),
        (
            "under_score.com",
            (
                "'under_score.com' is not a host name: its part 'under_score' is not letters, digits and inner dashes "
                "(at most 63)"
            ),
        ),
        ("a.*.com", "'a.*.com' is not a host: a wildcard must come first, as in *.example.com"),
        ("10.0.0.1", "'10.0.0.1' is not a host name: its last part must not be a number"),
        (".".join(["a" * 60] * 5), "a host may have 255 characters, this one has 304"),
    ],
)
def test_bad_hosts(host, message):
    with pytest.raises(ValueError) as error:  # noqa: PT011 - the text is compared
        syntax.check_host(host)
    assert str(error.value) == message


@pytest.mark.parametrize("host", ["*", "shop/*", "./*.example.com", "*/example.com", "example.com", "10.0.0.1"])
def test_gateway_hosts(host):
    syntax.check_scoped_host(host)


@pytest.mark.parametrize(
    ("host", "message"),
    [
        ("reviews", "'reviews' is a short name; write the full host, such as reviews.example.com, or '*'"),
        ("Shop/a.com", "'Shop/a.com' is not namespace/host: 'Shop' is not a namespace, '.' or '*'"),
        ("/a.com", "'/a.com' is not namespace/host: '' is not a namespace, '.' or '*'"),
        ("shop/", "a host must not be empty"),
        ("*x.example.com", "'*x.example.com' is a partial wildcard; write one such as *.example.com"),
    ],
)
def test_bad_gateway_hosts(host, message):
    with pytest.raises(ValueError) as error:  # noqa: PT011 - the text is compared
        syntax.check_scoped_host(host)
    assert str(error.value) == message


@pytest.mark.parametrize("text", ["", "(", "(?=a)", "a" * 1025, "*"])
def test_bad_regexes(text):
    with pytest.raises(ValueError, match="regex"):
        syntax.check_regex(text)


@pytest.mark.parametrize("text", [r"^/v\d+/.*$", "(?i)jason", "a" * 1024])
def test_regexes(text):
    syntax.check_regex(text)


@pytest.mark.parametrize(
    ("text", "is_claim"),
    [
        ("@request.auth.claims.group", True),
        ("@request.auth.claims[group][sub]", True),
        ("@request.auth.claims", False),
        ("x-group", False),
    ],
)
def test_claims(text, is_claim):
    assert syntax.is_jwt_claim(text) is is_claim


@pytest.mark.parametrize(
    ("name", "good"),
    [
        ("app", True),
        ("app.kubernetes.io/name", True),
        ("a" * 63, True),
        ("a" * 64, False),
        ("/x", False),
        ("x/", False),
    ],
)
def test_label_names(name, good):
    assert syntax.is_label_name(name) is good
