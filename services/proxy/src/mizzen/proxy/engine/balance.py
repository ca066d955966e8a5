"""Load balancers: each is a function from a source of chance to an endpoint.

`chance` yields points in [0, 1) (`random.random`); a balancer takes as many as it needs. A balancer is made anew when
endpoints, weights or health change, so it never meets an endpoint it must skip.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from heapq import heapify, heapreplace
from itertools import accumulate
from typing import TYPE_CHECKING, TypeAlias

from mizzen.proxy.engine.plan import ClusterPlan

if TYPE_CHECKING:
    from mizzen.proxy.engine.state import EndpointState

Chance: TypeAlias = Callable[[], float]
Pick: TypeAlias = Callable[[Chance], "EndpointState | None"]


def bind_balancer(plan: ClusterPlan, endpoints: Sequence[EndpointState], chance: Chance) -> Pick:
    """The cluster's balancer over the endpoints that may be used now; it yields None when there are none.

    `chance` gives each balancer its own starting point, so that workers do not walk in step.
    """
    usable = usable_endpoints(endpoints, plan.panic_threshold)
    if not usable:
        return lambda chance: None
    if len(usable) == 1:
        only = usable[0]
        return lambda chance: only
    equal = len({endpoint.weight for endpoint in usable}) == 1
    match plan.balancer:
        case "random":
            return _random(usable) if equal else _weighted_random(usable)
        case "least_request":
            return _least_request(usable, plan.choice_count) if equal else _earliest_deadline(usable, _spare, chance)
        case "round_robin":
            return _round_robin(usable, chance) if equal else _earliest_deadline(usable, _weight, chance)


def usable_endpoints(endpoints: Sequence[EndpointState], panic_threshold: float) -> list[EndpointState]:
    """Those of the lowest priority that has a healthy one: the healthy ones, or all of it in a panic.

    Panic (Envoy): fewer than `panic_threshold` percent are healthy, so health is likely a false alarm.
    """
    healthy = [endpoint for endpoint in endpoints if endpoint.healthy]
    panic = len(healthy) * 100 < panic_threshold * len(endpoints)
    pool = endpoints if panic else healthy
    if not pool:
        return []
    priority = min(endpoint.priority for endpoint in healthy or pool)
    return [endpoint for endpoint in pool if endpoint.priority == priority]


def _round_robin(endpoints: list[EndpointState], chance: Chance) -> Pick:
    last = len(endpoints) - 1
    turn = int(chance() * len(endpoints))

    def pick(chance: Chance) -> EndpointState:
        nonlocal turn
        turn = turn + 1 if turn < last else 0
        return endpoints[turn]

    return pick


def _random(endpoints: list[EndpointState]) -> Pick:
    count = len(endpoints)
    return lambda chance: endpoints[int(chance() * count)]


def _weighted_random(endpoints: list[EndpointState]) -> Pick:
    ends = list(accumulate(endpoint.weight for endpoint in endpoints))
    total = ends.pop()
    return lambda chance: endpoints[bisect_right(ends, int(chance() * total))]


def _least_request(endpoints: list[EndpointState], choices: int) -> Pick:
    """The less busy of `choices` endpoints drawn at random; the first drawn wins a tie."""
    count = len(endpoints)

    def pick_of_two(chance: Chance) -> EndpointState:
        one = endpoints[int(chance() * count)]
        other = endpoints[int(chance() * count)]
        return other if other.active_requests < one.active_requests else one

    def pick_of_many(chance: Chance) -> EndpointState:
        best = endpoints[int(chance() * count)]
        for _ in range(choices - 1):
            other = endpoints[int(chance() * count)]
            if other.active_requests < best.active_requests:
                best = other
        return best

    return pick_of_two if choices == 2 else pick_of_many


def _earliest_deadline(endpoints: list[EndpointState], share: Callable[[EndpointState], float], chance: Chance) -> Pick:
    """Earliest deadline first, Envoy's scheduler for unequal weights.

    After a pick, the endpoint's next deadline lies 1/share later: picks are in proportion to shares, evenly spread.
    """
    queue = [(1.0 / share(endpoint), order, endpoint) for order, endpoint in enumerate(endpoints)]
    heapify(queue)

    def pick(chance: Chance) -> EndpointState:
        deadline, order, endpoint = queue[0]
        heapreplace(queue, (deadline + 1.0 / share(endpoint), order, endpoint))
        return endpoint

    for _ in range(int(chance() * len(endpoints))):
        pick(chance)
    return pick


def _weight(endpoint: EndpointState) -> float:
    return endpoint.weight


def _spare(endpoint: EndpointState) -> float:
    """Envoy's share of a busy endpoint, active_request_bias 1."""
    return endpoint.weight / (endpoint.active_requests + 1)
