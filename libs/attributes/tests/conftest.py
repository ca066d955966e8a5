"""What the tests of messages have in common."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from ipaddress import IPv6Address

import pytest
from hypothesis import strategies as st

from mizzen.attributes.values import Value
from mizzen.attributes.words import WORDS

WORD = st.sampled_from(WORDS) | st.text(max_size=12)
VALUE = st.one_of(
    WORD,
    st.integers(-(2**63), 2**63 - 1),
    st.booleans(),
    st.floats(allow_nan=False),
    st.datetimes(timezones=st.just(UTC)),
    st.timedeltas(timedelta(days=-3650), timedelta(days=3650)),
    st.ip_addresses(v=4),
    st.ip_addresses(v=6).map(lambda address: IPv6Address(address).ipv4_mapped or address),
    st.binary(max_size=20).filter(lambda data: len(data) not in (4, 16)),
    st.dictionaries(WORD, WORD, max_size=4),
)


@pytest.fixture(scope="session")
def attributes() -> st.SearchStrategy[dict[str, Value]]:
    """Attributes of every type, under names in and out of the global dictionary."""
    return st.dictionaries(WORD, VALUE, max_size=12)


@pytest.fixture(scope="session")
def request_attributes() -> dict[str, Value]:
    """What a proxy says of an HTTP request."""
    return {
        "request.path": "/productpage",
        "request.size": 0,
        "request.headers": {":method": "GET", "cookie": "user=jason"},
        "request.time": datetime(2018, 7, 31, 12, 0, 0, 250_000, UTC),
        "response.duration": timedelta(microseconds=1_500_001),
        "connection.mtls": True,
    }
