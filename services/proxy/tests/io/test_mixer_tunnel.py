"""Mixer on byte streams."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from playbook import (
    Step,
    World,
    after,
    client_closes,
    client_gets_bytes,
    client_is,
    client_sends,
    connects,
    endpoint_closes,
    endpoint_gets_bytes,
    endpoint_sends,
    mesh,
    no_connect,
    play,
)

from mizzen.proxy.engine.control import CheckAnswer, Checks, FromWorker, Reports
from mizzen.proxy.engine.mixer_plan import ServicePlan, TcpMixerPlan, TransportPlan
from mizzen.proxy.engine.plan import ListenerPlan, Plan, TcpPlan

ADDRESS = "10.0.0.1:80"


def guarded(*, fail_open: bool = False, **service: Any) -> tuple[Plan, ...]:
    plan = TcpMixerPlan(TransportPlan(fail_open=fail_open), ServicePlan(attributes=b"s", **service), 10.0)
    listener, *rest = mesh(tcp=True)
    assert isinstance(listener, ListenerPlan)
    assert isinstance(listener.handler, TcpPlan)
    return (replace(listener, handler=replace(listener.handler, mixer=plan)), *rest)


def opens(posted: list[FromWorker]) -> Step:
    """A client connects while somebody takes the worker's messages."""

    def step(world: World, cut: object) -> None:
        posted.clear()
        world.runtime.mixer.post = posted.append
        world.client()

    return step


def mixer_says(posted: list[FromWorker], **answer: Any) -> Step:
    def step(world: World, cut: object) -> None:
        (question,) = posted
        assert isinstance(question, Checks)
        ((serial, _, facts),) = question.connections
        assert facts[1] == b"192.0.2.7"
        posted.clear()
        world.runtime.mixer.answered([CheckAnswer(serial, **answer)])
        world.loop.run()

    return step


def events(posted: list[FromWorker]) -> list[tuple[str, tuple[int, int, int, int]]]:
    return [
        (record[2], record[3]) for message in posted if isinstance(message, Reports) for record in message.connections
    ]


def test_a_connection_is_checked_joined_and_reported() -> None:
    posted: list[FromWorker] = []
    play(
        guarded(),
        opens(posted),
        no_connect(),
        client_sends(b"hello"),
        no_connect(),
        mixer_says(posted),
        connects(ADDRESS),
        endpoint_gets_bytes(b"hello"),
        after(10.5),
        endpoint_sends(b"world!"),
        client_gets_bytes(b"world!"),
        client_closes(),
        endpoint_closes(),
    )
    assert events(posted) == [("open", (5, 0, 5, 0)), ("continue", (0, 0, 5, 0)), ("close", (0, 6, 5, 6))]


def test_a_refused_connection_is_cut_and_reported() -> None:
    posted: list[FromWorker] = []
    world = play(
        guarded(), opens(posted), mixer_says(posted, code=7, message="no"), client_is(closed=True), no_connect()
    )
    ((event, _),) = events(posted)
    (report,) = posted
    assert isinstance(report, Reports)
    assert (event, report.connections[0][5], report.connections[0][7]) == (
        "close",
        "UAEX",
        (7, "PERMISSION_DENIED:no", False, False),
    )
    assert world.runtime.listeners["listener"].connections == {}
    counters = world.runtime.stats(1).counters
    for filter_, count in (("tcp_mixer_filter", 1), ("http_mixer_filter", 0)):
        assert counters[filter_, "", "total_check_calls"] == count
        assert counters[filter_, "", "total_report_calls"] == count


def test_an_agent_that_does_not_answer() -> None:
    posted: list[FromWorker] = []
    play(guarded(), opens(posted), after(7.0), client_is(closed=True), no_connect())
    world = play(guarded(fail_open=True), opens(posted), after(7.0), connects(ADDRESS))
    assert world.runtime.mixer.connections == {}


def test_no_agent() -> None:
    play(guarded(), lambda world, cut: world.client(), client_is(closed=True), no_connect())


def test_a_client_that_goes_away_while_its_connection_waits() -> None:
    posted: list[FromWorker] = []

    def goes(world: World, cut: object) -> None:
        world.client().abort()
        world.loop.run()

    world = play(guarded(), opens(posted), goes, after(7.0), no_connect())
    assert world.runtime.mixer.connections == {}
    assert [event for event, _ in events(posted)] == ["close"]


def test_neither_checked_nor_reported() -> None:
    posted: list[FromWorker] = []
    play(guarded(check=False, report=False), opens(posted), connects(ADDRESS), client_closes(), endpoint_closes())
    assert posted == []
