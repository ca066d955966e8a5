"""Short names, wildcards, and which of two is more specific."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mizzen.pilot.base.host import covers, intersection, most_specific, resolve, specificity

LABEL = st.text("ab", min_size=1, max_size=2)
NAME = st.lists(LABEL, min_size=1, max_size=4).map(".".join)
HOST = st.one_of(NAME, NAME.map("*.{}".format), st.just("*"))


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("reviews", "reviews.ns1.svc.cluster.local"),
        ("reviews.prod", "reviews.prod"),
        ("reviews.prod.svc.cluster.local", "reviews.prod.svc.cluster.local"),
        ("*", "*"),
        ("*.example.com", "*.example.com"),
        ("WWW.Example.com", "www.example.com"),
    ],
)
def test_resolve(host: str, expected: str) -> None:
    assert resolve(host, "ns1", "cluster.local") == expected


@pytest.mark.parametrize(
    ("pattern", "host", "expected"),
    [
        ("*.foo.com", "a.b.foo.com", True),
        ("*.foo.com", "*.b.foo.com", True),
        ("*.foo.com", "*.foo.com", True),
        ("*.foo.com", "foo.com", False),
        ("*.b.foo.com", "*.foo.com", False),
        ("*", "anything", True),
        ("*", "*.foo.com", True),
        ("*.foo.com", "*", False),
        ("a.foo.com", "a.foo.com", True),
        ("a.foo.com", "b.foo.com", False),
    ],
)
def test_covers(pattern: str, host: str, expected: bool) -> None:
    assert covers(pattern, host) is expected


def test_order() -> None:
    hosts = ["*", "*.com", "b.com", "a.com", "*.foo.com", "long.a.com"]
    assert sorted(hosts, key=specificity) == ["long.a.com", "a.com", "b.com", "*.foo.com", "*.com", "*"]
    assert most_specific(hosts, "x.foo.com") == "*.foo.com"
    assert most_specific(["a.com"], "b.com") is None


@given(HOST, HOST)
def test_intersection_is_symmetric_and_the_narrower_one(one: str, other: str) -> None:
    shared = intersection(one, other)
    assert shared == intersection(other, one)
    if shared is not None:
        assert covers(one, shared)
        assert covers(other, shared)
