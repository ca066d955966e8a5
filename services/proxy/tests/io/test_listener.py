"""What a listener counts, and whom it lets go on, while its plan changes under open connections."""

from dataclasses import replace
from typing import Any

import pytest
from playbook import World, _take, mesh

from mizzen.proxy.engine.plan import HttpPlan, ListenerPlan, TcpPlan, WeightedCluster
from mizzen.proxy.io.listener import DRAIN_SECONDS

GAUGES = ("downstream_cx_active", "downstream_cx_http1_active")


def test_a_connection_is_counted_where_it_was_opened() -> None:
    plans = mesh()
    world = World(plans)
    client = world.client()
    listener = plans[0]
    assert isinstance(listener, ListenerPlan)
    assert isinstance(listener.handler, HttpPlan)
    world.apply(replace(listener, handler=replace(listener.handler, stat_prefix="renamed")))
    client.end()
    world.apply(replace(listener, handler=TcpPlan("tcp", (WeightedCluster("reviews"),))))
    other = world.client("other")
    world.apply(listener)
    world.accept("10.0.0.1:80")
    other.abort()
    world.loop.run()
    stats = world.runtime.stats(1)
    for prefix in ("http", "renamed"):
        assert [stats.gauges["http", prefix, gauge] for gauge in GAUGES] == [0, 0]
    assert stats.counters["http", "http", "downstream_cx_destroy"] == 1
    assert stats.gauges["listener", "listener", "downstream_cx_active"] == 0


GET = b"GET / HTTP/1.1\r\nHost: reviews\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
TO_TCP = TcpPlan("tcp", (WeightedCluster("reviews"),))


def test_http_does_not_go_on_where_the_plan_is_for_bytes_now() -> None:
    plans: Any = mesh()
    world = World(plans)
    idle, busy = world.client("idle"), world.client("busy")
    busy.receive(GET)
    endpoint = world.accept("10.0.0.1:80")
    world.apply(replace(plans[0], handler=TO_TCP))
    world.loop.run()
    assert (idle.closing, busy.closing) == (True, False)
    endpoint.receive(OK)
    assert b"connection: close" in _take(busy).lower()


@pytest.mark.parametrize("end", ["another protocol", "removed", "stopped"])
def test_a_request_of_which_a_part_has_come_is_answered_before_its_connection_ends(end: str) -> None:
    plans: Any = mesh()
    world = World(plans)
    client = world.client()
    client.receive(GET)
    endpoint = world.accept("10.0.0.1:80")
    endpoint.receive(OK)
    assert b"connection: close" not in _take(client).lower()
    client.receive(GET[:5])
    if end == "stopped":
        world.runtime.listeners["listener"].stop()
    elif end == "removed":
        world.apply(removed=(("listener", "listener"),))
    else:
        world.apply(replace(plans[0], handler=TO_TCP))
    world.loop.run()
    assert not client.closing
    client.receive(GET[5:])
    endpoint.receive(OK)
    assert b"connection: close" in _take(client).lower()
    assert client.closing


def test_a_part_of_a_request_that_never_ends_has_the_idle_timeout_too() -> None:
    world = World(mesh(http={"headers_timeout": 0.0, "idle_timeout": 60.0}))
    client = world.client()
    client.receive(GET[:5])
    world.loop.advance(59.0)
    assert not client.closing
    world.loop.advance(2.0)
    assert client.closing


def test_bytes_go_on_for_a_while_where_the_plan_is_for_http_now() -> None:
    plans: Any = mesh(tcp=True)
    world = World(plans)
    client = world.client()
    endpoint = world.accept("10.0.0.1:80")
    world.apply(replace(plans[0], handler=HttpPlan("http", "80")))
    world.loop.advance(DRAIN_SECONDS - 1.0)
    client.receive(b"bytes")
    assert _take(endpoint) == b"bytes"
    assert not client.closing
    world.loop.advance(2.0)
    assert client.closing
    assert endpoint.closing


@pytest.mark.parametrize("tcp", [True, False])
def test_a_listener_that_goes_takes_what_never_ends_with_it(tcp: bool) -> None:
    world = World(mesh(tcp=tcp))
    client = world.client()
    if not tcp:
        client.receive(GET)
    endpoint = world.accept("10.0.0.1:80")
    endpoint.receive(b"HTTP/1.1 200 OK\r\n\r\nwithout end")
    world.apply(removed=(("listener", "listener"),))
    world.loop.advance(DRAIN_SECONDS - 1.0)
    assert not client.closing
    world.loop.advance(2.0)
    assert client.closing
    assert endpoint.closing


def test_what_stays_is_not_cut() -> None:
    plans: Any = mesh(tcp=True)
    world = World(plans)
    client = world.client()
    world.accept("10.0.0.1:80")
    world.apply(replace(plans[0], handler=replace(TO_TCP, idle_timeout=1000.0)))
    world.loop.advance(2 * DRAIN_SECONDS)
    assert not client.closing


def test_a_listener_that_only_takes_nothing_new_cuts_nothing() -> None:
    world = World(mesh(tcp=True))
    client = world.client()
    world.accept("10.0.0.1:80")
    world.apply(removed=(("listener", "listener"),), spares_open=True)
    world.loop.advance(2 * DRAIN_SECONDS)
    assert not client.closing
