"""Bags: look-ups, overlays and the notes of what was read."""

from __future__ import annotations

import pytest

from mizzen.attributes.bag import Bag, DictBag, OverlayBag, TrackedBag

REQUEST = DictBag({"request.path": "/a", "request.size": 0, "request.headers": {"host": "a", "empty": ""}})


@pytest.mark.parametrize(
    ("name", "key", "value"),
    [
        ("request.headers", "host", "a"),
        ("request.headers", "empty", ""),
        ("request.headers", "cookie", None),
        ("source.labels", "app", None),
        ("request.path", "host", None),
    ],
)
def test_lookup_reads_entries_of_maps(name: str, key: str, value: str | None) -> None:
    assert REQUEST.lookup(name, key) == value
    assert TrackedBag(REQUEST).lookup(name, key) == value
    assert OverlayBag(DictBag({}), REQUEST).lookup(name, key) == value


@pytest.mark.parametrize(
    ("name", "found"), [("request.headers", True), ("request.path", False), ("source.labels", False)]
)
def test_maps_are_told_from_what_is_none_without_a_note(name: str, found: bool) -> None:
    tracked = TrackedBag(REQUEST)
    assert REQUEST.has_map(name) is found
    assert tracked.has_map(name) is found
    assert tracked.fork().has_map(name) is found
    assert OverlayBag(DictBag({}), REQUEST).has_map(name) is found
    assert OverlayBag(DictBag({"source.labels": {}}), REQUEST).has_map("source.labels")
    assert not OverlayBag(DictBag({"request.headers": "text"}), REQUEST).has_map("request.headers")
    assert tracked.reads == {}


def test_reads_of_scalars_are_noted_with_presence() -> None:
    bag = TrackedBag(REQUEST)
    assert bag.get("request.path") == "/a"
    assert bag.get("request.size") == 0
    assert bag.get("source.uid") is None
    assert bag.reads == {"request.path": True, "request.size": True, "source.uid": False}


def test_reads_of_maps_are_noted_by_key() -> None:
    bag = TrackedBag(REQUEST)
    bag.lookup("request.headers", "host")
    bag.lookup("request.headers", "empty")
    bag.lookup("request.headers", "cookie")
    bag.lookup("source.labels", "app")
    assert bag.reads == {
        ("request.headers", "host"): True,
        ("request.headers", "empty"): True,
        ("request.headers", "cookie"): False,
        "source.labels": False,
    }


def test_a_whole_map_counts_as_read_whole() -> None:
    bag = TrackedBag(REQUEST)
    assert bag.get("request.headers") == {"host": "a", "empty": ""}
    assert bag.reads == {"request.headers": True}


def test_forks_have_the_beginning_in_common() -> None:
    bag = TrackedBag(REQUEST)
    bag.get("source.uid")
    first, second = bag.fork(), bag.fork()
    first.get("request.path")
    second.get("request.size")
    assert bag.reads == {"source.uid": False}
    assert first.reads == {"source.uid": False, "request.path": True}
    assert second.reads == {"source.uid": False, "request.size": True}


def test_generated_values_are_not_noted() -> None:
    tracked = TrackedBag(REQUEST)
    generated = DictBag({"source.name": "productpage", "source.labels": {"app": "productpage"}})
    bag: Bag = OverlayBag(generated, tracked)
    assert bag.get("source.name") == "productpage"
    assert bag.lookup("source.labels", "app") == "productpage"
    assert bag.lookup("source.labels", "version") is None
    assert bag.get("request.path") == "/a"
    assert tracked.reads == {"request.path": True}
