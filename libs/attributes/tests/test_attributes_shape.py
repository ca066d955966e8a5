"""Finding results again: by what was absent, and by the values that were there."""

from __future__ import annotations

import pickle
import subprocess
import sys

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from mizzen.attributes.bag import Bag, DictBag, Reference, TrackedBag
from mizzen.attributes.shape import Shape
from mizzen.attributes.values import Value

REQUEST: dict[str, Value] = {
    "request.path": "/a",
    "request.size": 3,
    "request.headers": {"user": "jason", "host": "a"},
    "source.labels": {"app": "a"},
}


def shape() -> Shape:
    """Of a decision that reads absent and present attributes, keys, and a whole map."""
    bag = TrackedBag(DictBag(REQUEST))
    bag.get("request.path")
    bag.get("source.uid")
    bag.lookup("request.headers", "user")
    bag.lookup("request.headers", "cookie")
    bag.lookup("destination.labels", "app")
    bag.get("source.labels")
    return Shape.of(bag.reads, DictBag(REQUEST))


def test_no_map_is_another_thing_than_a_map_without_the_key() -> None:
    bag = TrackedBag(DictBag({"request.headers": {"a": "b"}}))
    assert bag.lookup("request.headers", "x") is None
    without_key = Shape.of(bag.reads, DictBag({"request.headers": {"a": "b"}}))
    assert without_key.signature(DictBag({"request.headers": {}})) == ()
    assert without_key.signature(DictBag({})) is None


def with_headers(**headers: str) -> dict[str, Value]:
    return REQUEST | {"request.headers": headers}


@pytest.mark.parametrize(
    "request_",
    [
        REQUEST,
        REQUEST | {"request.size": 4},
        REQUEST | {"response.code": 200},
        with_headers(user="jason", host="b"),
        with_headers(user="jason"),
    ],
)
def test_requests_that_agree_in_what_was_read_have_one_signature(request_: dict[str, Value]) -> None:
    assert shape().signature(DictBag(request_)) == shape().signature(DictBag(REQUEST))
    assert hash(shape().signature(DictBag(request_)))


@pytest.mark.parametrize(
    "request_",
    [
        REQUEST | {"request.path": "/b"},
        REQUEST | {"request.path": ""},
        with_headers(user="anna"),
        with_headers(user=""),
        REQUEST | {"source.labels": {"app": "b"}},
        REQUEST | {"source.labels": {"app": "a", "version": "v1"}},
        REQUEST | {"source.labels": {}},
    ],
)
def test_requests_that_differ_in_what_was_read_have_other_signatures(request_: dict[str, Value]) -> None:
    signature = shape().signature(DictBag(request_))
    assert signature is not None
    assert signature != shape().signature(DictBag(REQUEST))


@pytest.mark.parametrize(
    "request_",
    [
        {name: value for name, value in REQUEST.items() if name != "request.path"},
        {name: value for name, value in REQUEST.items() if name != "request.headers"},
        {name: value for name, value in REQUEST.items() if name != "source.labels"},
        REQUEST | {"source.uid": "kubernetes://a.default"},
        REQUEST | {"source.uid": ""},
        with_headers(host="a"),
        with_headers(user="jason", cookie=""),
        REQUEST | {"destination.labels": {}},
        REQUEST | {"source.labels": "a"},
    ],
)
def test_requests_of_another_shape_have_no_signature(request_: dict[str, Value]) -> None:
    assert shape().signature(DictBag(request_)) is None


def test_a_value_cannot_pass_for_another_attributes() -> None:
    both = Shape.of({"request.path": True, "request.host": True}, DictBag({}))
    one = both.signature(DictBag({"request.path": "a", "request.host": "b"}))
    assert one != both.signature(DictBag({"request.path": "b", "request.host": "a"}))
    assert one != both.signature(DictBag({"request.path": "ab", "request.host": ""}))


def test_a_decision_that_read_nothing_is_everybodys() -> None:
    assert Shape.of({}, DictBag({})).signature(DictBag(REQUEST)) == ()


@given(st.permutations(list({"b": True, "a": False, ("m", "k"): True, ("m", "j"): True, "c": True}.items())))
def test_the_order_of_reads_does_not_matter(reads: list[tuple[str | tuple[str, str], bool]]) -> None:
    assert Shape.of(dict(reads), DictBag({})) == Shape(("a",), (), ("b", "c"), (), (("m", "j"), ("m", "k")))


NAMES = st.sampled_from("abc")
TEXTS = st.sampled_from(["", "x", "y"])
BAGS = st.dictionaries(NAMES, TEXTS | st.dictionaries(NAMES, TEXTS, max_size=2)).map(DictBag)
READS = st.lists(NAMES | st.tuples(NAMES, NAMES), max_size=5)


def read(bag: Bag, reads: list[Reference]) -> list[Value | None]:
    return [bag.get(r) if isinstance(r, str) else bag.lookup(*r) for r in reads]


@given(first=BAGS, second=BAGS, reads=READS)
def test_equal_signatures_mean_equal_reads(first: DictBag, second: DictBag, reads: list[Reference]) -> None:
    tracked = TrackedBag(first)
    seen = read(tracked, reads)
    shape_ = Shape.of(tracked.reads, first)
    assert shape_.signature(first) is not None
    # An attribute has one type in all requests.
    assume(
        all(
            isinstance(first.get(n), dict) == isinstance(second.get(n), dict)
            for n in first.values.keys() & second.values
        )
    )
    if shape_.signature(first) == shape_.signature(second):
        assert read(second, reads) == seen


def test_shapes_travel_to_processes_without_protobuf() -> None:
    assert pickle.loads(pickle.dumps(shape())) == shape()
    script = "import sys, mizzen.attributes.shape; sys.exit('google.protobuf' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], timeout=30, check=False).returncode == 0
