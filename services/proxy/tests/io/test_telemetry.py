"""What a worker counts for Istio's metrics."""

from __future__ import annotations

from bisect import bisect_left
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from playbook import (
    World,
    client_closes,
    client_gets,
    client_sends,
    connects,
    endpoint_closes,
    endpoint_gets,
    endpoint_sends,
    mesh,
    play,
)

from mizzen.proxy.engine.control import Stats
from mizzen.proxy.engine.mixer_plan import MixerPlan
from mizzen.proxy.engine.rbac_plan import Anything, PolicyPlan, RbacPlan
from mizzen.proxy.engine.stats import BUCKETS
from mizzen.proxy.io.telemetry import BATCH, Sums, Telemetry, key_name, read_key

ADDRESS = "10.0.0.1:80"
GET = b"GET / HTTP/1.1\r\nHost: reviews\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: reviews\r\nContent-Length: 5\r\n\r\nhello"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"


def test_a_request() -> None:
    world = play(
        mesh(),
        client_sends(POST),
        connects(ADDRESS),
        endpoint_gets("POST / HTTP/1.1", None, b"hello"),
        endpoint_sends(OK),
        client_gets("HTTP/1.1 200 OK", None, b"hi"),
    )
    name = key_name(("outbound", "reviews", 200, "", "", b"", ""))
    stats = world.runtime.stats(1)
    assert stats.counters["istio", name, "requests_total"] == 1
    assert stats.histograms["istio", name, "request_bytes"][-1] == 5.0
    assert stats.histograms["istio", name, "response_bytes"][-1] == 2.0
    assert world.runtime.stats(2).counters["istio", name, "requests_total"] == 1
    assert world.runtime.telemetry.samples == []


def test_a_request_that_a_policy_refuses() -> None:
    """Who asks for what is refused: where it would have gone, and what a trusted peer said of itself."""
    nobody = RbacPlan("DENY", (PolicyPlan("nobody", Anything()),))
    world = play(
        mesh(http={"guards": (nobody,), "mixer": MixerPlan(trusts_peer=True)}),
        client_sends(b"GET / HTTP/1.1\r\nHost: reviews\r\nx-istio-attributes: cGFnZQ==\r\n\r\n"),
        client_gets("HTTP/1.1 403 Forbidden", None, b"RBAC: access denied"),
    )
    name = key_name(("outbound", "reviews", 403, "", "", b"cGFnZQ==", ""))
    assert world.runtime.stats(1).counters["istio", name, "requests_total"] == 1


def test_a_byte_stream() -> None:
    world = play(
        mesh(tcp=True),
        lambda world, cut: world.client(),
        connects(ADDRESS),
        client_sends(b"hello"),
        endpoint_sends(b"hi"),
        client_closes(),
        endpoint_closes(),
    )
    name = key_name(("outbound", "reviews", -1, "", "", b"", ""))
    counters = world.runtime.stats(1).counters
    found = {metric: value for (scope, of, metric), value in counters.items() if (scope, of) == ("istio", name)}
    assert found == {
        "tcp_connections_opened_total": 1,
        "tcp_connections_closed_total": 1,
        "tcp_received_bytes_total": 5,
        "tcp_sent_bytes_total": 2,
    }


@given(st.lists(st.tuples(st.floats(0, 1e7), st.integers(0, 10**9), st.integers(0, 10**9)), min_size=1))
def test_samples_fall_into_their_buckets(values: list[tuple[float, int, int]]) -> None:
    sums = Sums()
    half = len(values) // 2
    for part in (values[:half], values[half:]):
        if part:
            sums.add(part)
    for place in range(3):
        counts = [0] * (len(BUCKETS) + 1)
        for value in values:
            counts[bisect_left(BUCKETS, value[place])] += 1
        assert sums.buckets[place] == counts
        assert sums.totals[place] == pytest.approx(sum(value[place] for value in values))
    assert sums.count == len(values)


def test_clients_are_not_told_apart_without_end() -> None:
    telemetry = Telemetry(max_keys=2)
    for number in range(5):
        telemetry.samples.append(("inbound", "c", 200, "", "", b"%d" % number, "", 1.0, 0, 0))
    stats = Stats(1)
    telemetry.export(stats)
    counts: dict[Any, int] = {read_key(name)[5]: value for (_, name, _), value in stats.counters.items()}
    assert counts == {b"0": 1, b"1": 1, b"": 3}


def test_samples_are_folded_before_they_are_many() -> None:
    """However long nobody asks for counters: neither memory nor the work of one fold grows with the traffic."""
    world = World(mesh())
    client = world.client()
    client.receive(GET)
    endpoint = world.accept("10.0.0.1:80")
    endpoint.receive(OK)
    samples = world.runtime.telemetry.samples
    most = 0
    for _ in range(3 * BATCH):
        client.receive(GET)
        endpoint.receive(OK)
        most = max(most, len(samples))
    assert most == BATCH - 1
