"""When sources of keys are asked, and what is known of them meanwhile. Times are plain numbers."""

from __future__ import annotations

from mizzen.pilot.base.keysource import KeySource
from mizzen.pilot.ingest.keys.schedule import KEEP, LAST_RETRY, REFRESH, Schedule

A = KeySource("a", "https://a/keys")
B = KeySource("b", "")


def wanting(*sources: KeySource, now: float = 0.0) -> Schedule:
    schedule = Schedule()
    schedule.want(dict.fromkeys(sources, 5.0), now)
    return schedule


def asked(schedule: Schedule, now: float) -> list[KeySource]:
    return [source for source, _ in schedule.begin(now)]


def test_a_new_source_is_asked_at_once_and_once() -> None:
    schedule = wanting(A, B)
    assert list(schedule.begin(0.0)) == [(A, 5.0), (B, 5.0)]
    assert asked(schedule, 100.0) == []
    assert schedule.next_due() is None


def test_good_keys_are_refreshed_after_twenty_minutes() -> None:
    schedule = wanting(A)
    asked(schedule, 0.0)
    assert schedule.succeeded(A, "keys", 1.0)
    assert schedule.known == {A: "keys"}
    assert schedule.next_due() == 1.0 + REFRESH
    assert asked(schedule, REFRESH) == []
    assert asked(schedule, 1.0 + REFRESH) == [A]
    assert not schedule.succeeded(A, "keys", 1300.0)


def test_failures_are_tried_again_less_and_less_often() -> None:
    schedule = wanting(A)
    now, waits = 0.0, []
    for _ in range(9):
        assert asked(schedule, now) == [A]
        schedule.failed(A, "away", now, 1.0)
        due = schedule.next_due()
        assert due is not None
        waits.append(due - now)
        now = due
    assert waits == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, LAST_RETRY, LAST_RETRY, LAST_RETRY]


def test_the_last_good_keys_are_kept_for_a_week_of_failures() -> None:
    schedule = wanting(A)
    asked(schedule, 0.0)
    schedule.succeeded(A, "keys", 0.0)
    asked(schedule, REFRESH)
    assert schedule.failed(A, "away", KEEP - 1, 0.5) == (True, False)
    assert schedule.known == {A: "keys"}
    asked(schedule, KEEP + 60)
    assert schedule.failed(A, "away", KEEP + 60, 0.5) == (False, True)
    assert schedule.known == {}


def test_a_complaint_is_news_once_until_it_changes_or_there_was_an_answer() -> None:
    schedule = wanting(A)
    news = []
    for complaint in ("away", "away", "status 500", ""):
        asked(schedule, 1e6 * (len(news) + 1))
        if complaint:
            news.append(schedule.failed(A, complaint, 0.0, 0.0)[0])
        else:
            schedule.succeeded(A, "keys", 0.0)
            asked(schedule, 1e7)
            news.append(schedule.failed(A, "status 500", 1.0, 0.0)[0])
    assert news == [True, False, True, True]


def test_what_nobody_wants_any_more_is_forgotten_also_while_it_is_asked() -> None:
    schedule = wanting(A, B)
    asked(schedule, 0.0)
    schedule.succeeded(B, "keys of b", 0.0)
    schedule.want({B: 5.0}, 1.0)
    assert not schedule.succeeded(A, "keys", 2.0)
    assert schedule.failed(A, "away", 2.0, 0.0) == (False, False)
    assert schedule.known == {B: "keys of b"}
    schedule.want({A: 7.0, B: 5.0}, 3.0)
    assert list(schedule.begin(3.0)) == [(A, 7.0)]
