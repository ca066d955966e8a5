from engine_support import endpoints

from mizzen.proxy.engine.control import Stats
from mizzen.proxy.engine.plan import ClusterPlan, EndpointPlan, EndpointSetPlan
from mizzen.proxy.engine.state import ClusterState, EndpointState

PLAN = ClusterPlan("outbound|80||a", "static")


def cluster(*addresses: str) -> ClusterState:
    state = ClusterState(PLAN, lambda: 0.0)
    state.adopt(PLAN, endpoints(*addresses))
    return state


def test_new_cluster_offers_nothing() -> None:
    assert ClusterState(PLAN, lambda: 0.0).pick(lambda: 0.0) is None


def test_endpoints_that_stay_keep_their_state() -> None:
    state = cluster("10.0.0.1", "10.0.0.2")
    kept = state.endpoints["10.0.0.1:80"]
    kept.active_requests = 3
    state.adopt(PLAN, endpoints("10.0.0.1", "10.0.0.3", weight=5))
    assert state.endpoints["10.0.0.1:80"] is kept
    assert (kept.active_requests, kept.weight, kept.draining) == (3, 5, False)
    assert list(state.endpoints) == ["10.0.0.1:80", "10.0.0.3:80"]


def test_removed_endpoints_drain_and_are_no_longer_picked() -> None:
    state = cluster("10.0.0.1", "10.0.0.2")
    (removed,) = state.adopt(PLAN, endpoints("10.0.0.2"))
    assert (removed.key, removed.draining) == ("10.0.0.1:80", True)
    assert {state.pick(lambda: 0.0).key for _ in range(4)} == {"10.0.0.2:80"}  # type: ignore[union-attr]


def test_endpoint_that_returns_while_busy_is_the_same_one() -> None:
    state = cluster("10.0.0.1")
    (busy,) = state.endpoints.values()
    busy.active_connections = 1
    state.adopt(PLAN, endpoints())
    state.adopt(PLAN, endpoints())
    assert state.adopt(PLAN, endpoints("10.0.0.1")) == ()
    assert state.endpoints["10.0.0.1:80"] is busy
    assert not busy.draining


def test_endpoint_that_returns_after_it_was_idle_is_new() -> None:
    state = cluster("10.0.0.1")
    (idle,) = state.endpoints.values()
    state.adopt(PLAN, endpoints())
    state.adopt(PLAN, endpoints("10.0.0.1"))
    assert state.endpoints["10.0.0.1:80"] is not idle


def test_an_address_counts_once() -> None:
    twice = EndpointSetPlan("s", (EndpointPlan("10.0.0.1", 80, weight=2), EndpointPlan("10.0.0.1", 80, weight=9)))
    state = ClusterState(PLAN, lambda: 0.0)
    state.adopt(PLAN, twice)
    assert [endpoint.weight for endpoint in state.endpoints.values()] == [2]


def test_membership_is_counted_and_exported() -> None:
    state = cluster("10.0.0.1", "10.0.0.2")
    state.adopt(PLAN, endpoints("10.0.0.1", "10.0.0.2"))
    state.endpoints["10.0.0.1:80"].healthy = False
    state.rebalance()
    into = Stats(1)
    rows = state.export(into)
    assert into.gauges["cluster", "outbound|80||a", "membership_total"] == 2
    assert into.gauges["cluster", "outbound|80||a", "membership_healthy"] == 1
    assert into.counters["cluster", "outbound|80||a", "membership_change"] == 1
    assert [(row.cluster, row.address, row.healthy) for row in rows] == [
        ("outbound|80||a", "10.0.0.1:80", False),
        ("outbound|80||a", "10.0.0.2:80", True),
    ]


def test_ipv6_keys_have_brackets() -> None:
    assert EndpointState(EndpointPlan("::1", 80)).key == "[::1]:80"
