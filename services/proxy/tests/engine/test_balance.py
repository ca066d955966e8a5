import random
from collections import Counter
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mizzen.proxy.engine.balance import Pick, bind_balancer, usable_endpoints
from mizzen.proxy.engine.plan import ClusterPlan, EndpointPlan
from mizzen.proxy.engine.state import EndpointState


def states(*plans: tuple[int, int, bool]) -> list[EndpointState]:
    """(weight, priority, healthy) each."""
    return [EndpointState(EndpointPlan(f"10.0.0.{at}", 80, *plan)) for at, plan in enumerate(plans)]


def equal(count: int) -> list[EndpointState]:
    return states(*[(1, 0, True)] * count)


def balancer(kind: str, endpoints: list[EndpointState], choices: int = 2) -> Pick:
    plan = ClusterPlan("c", "static", kind, choices)  # type: ignore[arg-type]
    return bind_balancer(plan, endpoints, lambda: 0.0)


def drawn(*points: float) -> Iterator[float]:
    return iter(points)


def picks(pick: Pick, count: int, seed: int = 1) -> Counter[str]:
    chance = random.Random(seed).random
    chosen = (pick(chance) for _ in range(count))
    return Counter(endpoint.address for endpoint in chosen if endpoint is not None)


@pytest.mark.parametrize("kind", ["round_robin", "random", "least_request"])
def test_no_endpoint_yields_none_and_one_yields_itself(kind: str) -> None:
    assert balancer(kind, [])(lambda: 0.5) is None
    (only,) = equal(1)
    assert balancer(kind, [only])(lambda: 0.5) is only


def test_round_robin_takes_turns() -> None:
    endpoints = equal(3)
    pick = balancer("round_robin", endpoints)
    first = [pick(lambda: 0.5) for _ in range(3)]
    assert set(first) == set(endpoints)
    assert [pick(lambda: 0.5) for _ in range(6)] == first * 2


def test_round_robin_starts_where_chance_says() -> None:
    endpoints = equal(4)
    plan = ClusterPlan("c", "static", "round_robin")
    starts = {bind_balancer(plan, endpoints, lambda p=point: p)(random.random).key for point in (0, 0.25, 0.5, 0.75)}  # type: ignore[misc, union-attr]
    assert len(starts) == 4


def test_weighted_round_robin_is_exact_and_spread() -> None:
    pick = balancer("round_robin", states((3, 0, True), (1, 0, True)))
    order = [pick(random.random).address for _ in range(400)]  # type: ignore[union-attr]
    assert Counter(order) == {"10.0.0.0": 300, "10.0.0.1": 100}
    assert all(order[at : at + 4].count("10.0.0.1") == 1 for at in range(0, 400, 4))


def test_random_follows_the_point() -> None:
    endpoints = equal(4)
    pick = balancer("random", endpoints)
    assert [pick(lambda p=point: p) for point in (0.0, 0.3, 0.5, 0.999)] == endpoints  # type: ignore[misc]


def test_weighted_random_gives_shares() -> None:
    endpoints = states((8, 0, True), (2, 0, True))
    pick = balancer("random", endpoints)
    counts = Counter(pick(lambda p=point / 100: p).address for point in range(100))  # type: ignore[misc, union-attr]
    assert counts == {"10.0.0.0": 80, "10.0.0.1": 20}


def test_least_request_takes_the_idler_of_two_and_the_first_of_equals() -> None:
    busy, idle, other = endpoints = equal(3)
    busy.active_requests = 5
    pick = balancer("least_request", endpoints)
    assert pick(drawn(0.0, 0.4).__next__) is idle
    assert pick(drawn(0.4, 0.0).__next__) is idle
    assert pick(drawn(0.4, 0.9).__next__) is idle
    assert pick(drawn(0.9, 0.4).__next__) is other
    assert pick(drawn(0.0, 0.1).__next__) is busy


def test_least_request_compares_as_many_as_it_is_told() -> None:
    endpoints = equal(4)
    for load, endpoint in zip((4, 3, 2, 1), endpoints, strict=True):
        endpoint.active_requests = load
    pick = balancer("least_request", endpoints, choices=3)
    assert pick(drawn(0.0, 0.3, 0.6).__next__) is endpoints[2]


def test_weighted_least_request_gives_busy_endpoints_less() -> None:
    endpoints = states((2, 0, True), (1, 0, True))
    assert picks(balancer("least_request", endpoints), 300) == {"10.0.0.0": 200, "10.0.0.1": 100}
    endpoints[0].active_requests = 3  # 2 / (3 + 1) against 1 / (0 + 1)
    assert picks(balancer("least_request", endpoints), 300) == {"10.0.0.0": 100, "10.0.0.1": 200}


@pytest.mark.parametrize(
    ("plans", "threshold", "expected"),
    [
        ([(1, 0, True), (1, 0, False), (1, 0, True)], 50, [0, 2]),
        ([(1, 0, False), (1, 1, True)], 50, [1]),
        ([(1, 1, True), (1, 0, True)], 50, [1]),
        ([(1, 0, True), (1, 0, False), (1, 0, False)], 50, [0, 1, 2]),
        ([(1, 0, True), (1, 0, False), (1, 0, False)], 0, [0]),
        ([(1, 0, False), (1, 1, False)], 50, [0]),
        ([(1, 0, False)], 0, []),
        ([], 50, []),
    ],
)
def test_which_endpoints_may_be_used(plans: list[tuple[int, int, bool]], threshold: float, expected: list[int]) -> None:
    endpoints = states(*plans)
    assert usable_endpoints(endpoints, threshold) == [endpoints[at] for at in expected]


@given(
    st.sampled_from(["round_robin", "random", "least_request"]),
    st.lists(st.tuples(st.integers(1, 5), st.integers(0, 1), st.booleans()), min_size=1, max_size=6),
    st.integers(0, 1000),
)
def test_only_usable_endpoints_are_picked_and_all_of_them(
    kind: str, plans: list[tuple[int, int, bool]], seed: int
) -> None:
    endpoints = states(*plans)
    usable = {endpoint.address for endpoint in usable_endpoints(endpoints, 50)}
    assert picks(balancer(kind, endpoints), 500, seed).keys() == usable
