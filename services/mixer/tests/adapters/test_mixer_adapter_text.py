"""Values as text, as Mixer wrote them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mizzen.mixer.adapters.text import duration_text, float_text, text_of


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        ("a b", "a b"),
        (True, "true"),
        (False, "false"),
        (-7, "-7"),
        (2.0, "2"),
        (0.1, "0.1"),
        (1e21, "1000000000000000000000"),
        (1.5e-7, "0.00000015"),
        (float("inf"), "+Inf"),
        (float("-inf"), "-Inf"),
        (float("nan"), "NaN"),
        (timedelta(), "0s"),
        (timedelta(microseconds=3), "3µs"),
        (timedelta(microseconds=1500), "1.5ms"),
        (timedelta(milliseconds=1500), "1.5s"),
        (timedelta(minutes=1), "1m0s"),
        (timedelta(hours=1, seconds=2, milliseconds=250), "1h0m2.25s"),
        (-timedelta(seconds=90), "-1m30s"),
        (ip_address("10.0.0.1"), "10.0.0.1"),
        (ip_address("2001:db8::1"), "2001:db8::1"),
        (datetime(2018, 7, 31, 12, tzinfo=UTC), "2018-07-31T12:00:00.000000Z"),
        ({"b": "2", "a": "1"}, "a=1&b=2"),
        (b"\x01\xff", "01:ff"),
    ],
)
def test_text(value, text):
    assert text_of(value) == text


@given(st.floats(allow_nan=False))
def test_float_text_reads_back(value):
    assert float(float_text(value)) == value
    assert "e" not in float_text(value)


_UNITS = {"h": 3600, "m": 60, "s": 1, "ms": 1e-3, "µs": 1e-6}


@given(st.timedeltas(min_value=timedelta(days=-300), max_value=timedelta(days=300)))
def test_duration_text_reads_back(value):
    import re

    text = duration_text(value)
    parts = re.findall(r"([\d.]+)(h|ms|m|µs|s)", text)
    seconds = sum(float(number) * _UNITS[unit] for number, unit in parts) * (-1 if text.startswith("-") else 1)
    assert seconds == pytest.approx(value.total_seconds(), abs=1e-7)
