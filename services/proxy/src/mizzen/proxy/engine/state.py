"""What outlives plans: clusters and their endpoints, with their load, counters and idle connections."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from mizzen.proxy.engine.balance import Chance, bind_balancer
from mizzen.proxy.engine.control import EndpointStats, Stats
from mizzen.proxy.engine.plan import ClusterPlan, EndpointPlan, EndpointSetPlan
from mizzen.proxy.engine.stats import ClusterStats, export


class EndpointState:
    """One address of a cluster and everything known about it."""

    __slots__ = (
        "active_connections",
        "active_requests",
        "address",
        "connect_failures",
        "draining",
        "failed_requests",
        "healthy",
        "idle",
        "key",
        "port",
        "priority",
        "says",
        "total_connections",
        "total_requests",
        "weight",
        "workload",
    )

    def __init__(self, plan: EndpointPlan) -> None:
        self.address = plan.address
        self.port = plan.port
        self.key = endpoint_key(plan)
        """`ip:port`, `[v6]:port`."""
        self.idle: list[Any] = []
        """The I/O layer's idle connections, the most recently used one last."""
        self.active_connections = 0
        self.active_requests = 0
        self.total_connections = 0
        self.connect_failures = 0
        self.total_requests = 0
        self.failed_requests = 0
        self.follow(plan)

    def follow(self, plan: EndpointPlan) -> None:
        """Take over what a new plan says."""
        self.draining = False
        """No longer part of the cluster: finish what is under way, keep no idle connection."""
        self.weight = plan.weight
        self.priority = plan.priority
        self.healthy = plan.healthy
        self.workload = plan.workload
        self.says = plan.says


class ClusterState:
    """A cluster: its plan, its endpoints, and `pick`, the balancer over them."""

    __slots__ = ("_chance", "_retired", "endpoints", "name", "pick", "plan", "stats")

    def __init__(self, plan: ClusterPlan, chance: Chance) -> None:
        self.name = plan.name
        self.plan = plan
        self.stats = ClusterStats()
        self.endpoints: dict[str, EndpointState] = {}
        """By key, in the order of the plan."""
        self._retired: dict[str, EndpointState] = {}
        self._chance = chance
        self.pick = bind_balancer(plan, (), chance)
        """pick(chance) → an endpoint, or None when the cluster has none to offer."""

    def adopt(self, plan: ClusterPlan, endpoint_set: EndpointSetPlan) -> tuple[EndpointState, ...]:
        """Follow new plans; returns the removed endpoints, now draining: close their idle connections.

        Endpoints that stay (same address and port) keep their state, also those that return before their last
        connection ended.
        """
        previous = self.endpoints
        known = {**self._retired, **previous}
        current: dict[str, EndpointState] = {}
        for endpoint in endpoint_set.endpoints:
            key = endpoint_key(endpoint)
            if key in current:  # an address counts once; the first entry decides
                continue
            state = known.get(key)
            if state is None:
                state = EndpointState(endpoint)
            else:
                state.follow(endpoint)
            current[key] = state
        removed = tuple(state for key, state in previous.items() if key not in current)
        for state in removed:
            state.draining = True
        self._retired = {
            key: state
            for key, state in known.items()
            if key not in current and (state.active_connections or state.active_requests)
        }
        self.plan = plan
        self.endpoints = current
        if current.keys() != previous.keys():
            self.stats.membership_change += 1
        self.rebalance()
        return removed

    def destination(self, address: str, port: int) -> EndpointState:
        """The endpoint of a cluster of type ORIGINAL_DST, made when it is not known."""
        plan = EndpointPlan(address, port)
        key = endpoint_key(plan)
        endpoint = self.endpoints.get(key)
        if endpoint is None:
            endpoint = self.endpoints[key] = EndpointState(plan)
            self._count_members()
        return endpoint

    def forget(self, endpoints: Iterable[EndpointState]) -> None:
        """Drop those without connections and requests."""
        for endpoint in endpoints:
            if not (endpoint.active_connections or endpoint.active_requests):
                del self.endpoints[endpoint.key]
        self._count_members()

    def _count_members(self) -> None:
        if len(self.endpoints) != self.stats.membership_total:
            self.stats.membership_change += 1
        self.stats.membership_total = len(self.endpoints)
        self.stats.membership_healthy = sum(endpoint.healthy for endpoint in self.endpoints.values())

    def rebalance(self) -> None:
        """Make the balancer anew after weights or health of endpoints changed."""
        endpoints = tuple(self.endpoints.values())
        self.stats.membership_total = len(endpoints)
        self.stats.membership_healthy = sum(endpoint.healthy for endpoint in endpoints)
        self.pick = bind_balancer(self.plan, endpoints, self._chance)

    def export(self, into: Stats) -> tuple[EndpointStats, ...]:
        """Add the counters to a worker's answer; returns the rows of `/clusters`."""
        export("cluster", self.name, self.stats, into)
        return tuple(self._row(endpoint) for endpoint in self.endpoints.values())

    def _row(self, endpoint: EndpointState) -> EndpointStats:
        return EndpointStats(
            cluster=self.name,
            address=endpoint.key,
            healthy=endpoint.healthy,
            weight=endpoint.weight,
            active_connections=endpoint.active_connections,
            active_requests=endpoint.active_requests,
            total_connections=endpoint.total_connections,
            connect_failures=endpoint.connect_failures,
            total_requests=endpoint.total_requests,
            failed_requests=endpoint.failed_requests,
        )


def endpoint_key(plan: EndpointPlan) -> str:
    """`ip:port`, `[v6]:port`."""
    return f"[{plan.address}]:{plan.port}" if ":" in plan.address else f"{plan.address}:{plan.port}"
