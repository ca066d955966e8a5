"""Reports: entries with words in common, complete or as differences."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mizzen.attributes.batch import DELTA, INDEPENDENT, ReportEncoder, decode_report
from mizzen.attributes.errors import InvalidAttributes
from mizzen.attributes.values import Value
from mizzen.proto.attributes_pb2 import CompressedAttributes
from mizzen.proto.mixer_pb2 import ReportRequest

Attributes = dict[str, Value]


def finished(encoder: ReportEncoder) -> ReportRequest:
    return ReportRequest.FromString(encoder.finish())


def send(entries: list[Attributes], semantics: ReportRequest.RepeatedAttributesSemantics) -> list[ReportRequest]:
    """The reports that a client sends for these entries."""
    reports, encoder = [], ReportEncoder(semantics)
    for entry in entries:
        if not encoder.add(entry):
            reports.append(encoder.finish())
            encoder = ReportEncoder(semantics)
            assert encoder.add(entry)
    return [ReportRequest.FromString(report) for report in (*reports, encoder.finish())]


@given(data=st.data(), semantics=st.sampled_from([DELTA, INDEPENDENT]))
def test_what_is_reported_is_read(
    data: st.DataObject,
    semantics: ReportRequest.RepeatedAttributesSemantics,
    attributes: st.SearchStrategy[Attributes],
) -> None:
    entries = data.draw(st.lists(attributes, max_size=5))
    batches = [decode_report(report) for report in send(entries, semantics)]
    assert [entry for batch in batches for entry in batch.entries] == entries
    assert not any(batch.errors for batch in batches)


@given(data=st.data())
def test_differences_of_growing_entries_fit_one_report(
    data: st.DataObject, attributes: st.SearchStrategy[Attributes]
) -> None:
    entries: list[Attributes] = []
    for change in data.draw(st.lists(attributes, min_size=1, max_size=5)):
        entries.append((entries[-1] if entries else {}) | change)
    (report,) = send(entries, DELTA)
    assert decode_report(report).entries == entries


def test_differences_leave_out_what_is_equal() -> None:
    (report,) = send([{"request.path": "/a", "request.size": 1}, {"request.path": "/b", "request.size": 1}], DELTA)
    assert [len(entry.int64s) for entry in report.attributes] == [1, 0]
    assert report.default_words[:] == [b"/a", b"/b"]
    assert not any(entry.words for entry in report.attributes)


def test_numbers_and_booleans_are_different() -> None:
    (report,) = send([{"x": 1}, {"x": True}, {"x": 1.0}], DELTA)
    assert [type(entry["x"]) for entry in decode_report(report).entries] == [int, bool, float]


def test_differences_cannot_say_that_something_is_gone() -> None:
    encoder = ReportEncoder(DELTA)
    assert encoder.add({"request.path": "/a", "request.size": 1})
    assert not encoder.add({"request.path": "/b"})
    assert len(encoder) == 1


def test_complete_entries_do_not_need_each_other() -> None:
    (report,) = send([{"request.path": "/a", "request.size": 1}, {"request.path": "/a"}], INDEPENDENT)
    assert decode_report(report).entries == [{"request.path": "/a", "request.size": 1}, {"request.path": "/a"}]


def test_a_report_says_how_it_is_encoded() -> None:
    assert finished(ReportEncoder(INDEPENDENT)).repeated_attributes_semantics == INDEPENDENT
    assert finished(ReportEncoder(DELTA)).repeated_attributes_semantics == DELTA
    assert ReportRequest().repeated_attributes_semantics == DELTA  # what proxies of Istio 1.0 do not say


@pytest.mark.parametrize(("known", "said"), [(203, 203), (222, 222), (5000, 222)])
def test_a_report_says_how_many_words_it_uses(known: int, said: int) -> None:
    encoder = ReportEncoder(global_words=known)
    encoder.add({"context.proxy_version": "1"})
    report = finished(encoder)
    assert report.global_word_count == said
    assert (b"context.proxy_version" in report.default_words) == (known < 222)


def test_an_entry_that_cannot_be_sent_changes_nothing() -> None:
    encoder = ReportEncoder(DELTA)
    encoder.add({"request.path": "/a"})
    with pytest.raises(InvalidAttributes, match=r"request\.size"):
        encoder.add({"request.path": "/b", "request.size": 2**70})
    assert encoder.add({"request.path": "/c"})
    assert decode_report(finished(encoder)).entries == [{"request.path": "/a"}, {"request.path": "/c"}]


def test_own_words_win_over_common_ones() -> None:
    report = ReportRequest(default_words=[b"common"])
    report.attributes.add().strings[17] = -1
    report.attributes.add(words=[b"own"]).strings[17] = -1
    assert [entry["request.path"] for entry in decode_report(report).entries] == ["common", "own"]


def bad(index: int) -> CompressedAttributes:
    message = CompressedAttributes()
    message.int64s[index] = 1
    return message


def test_nothing_is_read_after_an_unreadable_difference() -> None:
    report = ReportRequest(attributes=[bad(23), bad(999), bad(27)])
    batch = decode_report(report)
    assert batch.entries == [{"request.size": 1}]
    assert [str(error) for error in batch.errors] == [
        "attribute index 999 is not defined in the available dictionaries"
    ]


def test_complete_entries_are_read_around_an_unreadable_one() -> None:
    report = ReportRequest(attributes=[bad(23), bad(999), bad(27)], repeated_attributes_semantics=INDEPENDENT)
    batch = decode_report(report)
    assert batch.entries == [{"request.size": 1}, {"response.size": 1}]
    assert len(batch.errors) == 1


def test_entries_stay_as_they_were_when_later_ones_change() -> None:
    (report,) = send([{"request.size": 1}, {"request.size": 2}], DELTA)
    first, second = decode_report(report).entries
    assert (first, second) == ({"request.size": 1}, {"request.size": 2})


@settings(deadline=None)
@given(data=st.data(), semantics=st.sampled_from([DELTA, INDEPENDENT]))
def test_common_attributes_are_part_of_every_entry(
    data: st.DataObject,
    semantics: ReportRequest.RepeatedAttributesSemantics,
    attributes: st.SearchStrategy[Attributes],
) -> None:
    commons = data.draw(st.lists(attributes, min_size=1, max_size=2))
    encoder = ReportEncoder(semantics)
    added = []
    for _ in range(4):
        common = data.draw(st.sampled_from(commons))
        own = {name: value for name, value in data.draw(attributes).items() if name not in common}
        if encoder.add(own, common):
            added.append(own | common)
    assert decode_report(finished(encoder)).entries == added


def test_common_attributes_that_cannot_be_sent_are_named_for_every_entry() -> None:
    encoder = ReportEncoder()
    common: Attributes = {"request.size": 2**70}
    for _ in range(2):
        with pytest.raises(InvalidAttributes, match=r"request\.size"):
            encoder.add({}, common)
    assert len(encoder) == 0


@pytest.mark.parametrize("semantics", [DELTA, INDEPENDENT])
def test_maps_that_nobody_reads_are_there_and_empty(semantics: ReportRequest.RepeatedAttributesSemantics) -> None:
    entry: Attributes = {"request.headers": {"a": "b"}, "source.labels": {"app": "a"}, "request.path": "/"}
    (report,) = send([entry, entry], semantics)
    read = [{**found} for found in decode_report(report, {"source.labels"}).entries]
    assert read == [entry | {"request.headers": {}}] * 2
