"""A cluster at run time: its state in the engine and the pools of its endpoints."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mizzen.proxy.engine.plan import ClusterPlan, EndpointSetPlan
from mizzen.proxy.engine.state import ClusterState, EndpointState
from mizzen.proxy.io.destinations import Destinations
from mizzen.proxy.io.pool import Pool
from mizzen.proxy.io.tls_contexts import Security

if TYPE_CHECKING:
    from mizzen.proxy.io.runtime import Runtime


class Cluster:
    """Lives from the first plan of its name to the last."""

    __slots__ = ("_pools", "destinations", "is_special", "name", "plan", "runtime", "state", "stats")

    def __init__(self, runtime: Runtime, plan: ClusterPlan) -> None:
        self.runtime = runtime
        self.name = plan.name
        self.state = ClusterState(plan, runtime.chance)
        self.stats = self.state.stats
        self._pools: dict[EndpointState, Pool] = {}
        self.destinations: Destinations | None = None
        """Makes endpoints where clients want to go; None where they are known beforehand."""
        self._take(plan)

    def _take(self, plan: ClusterPlan) -> None:
        self.plan = plan
        if plan.discovery != "original_dst":
            self.destinations = None
        elif self.destinations is None:
            self.destinations = Destinations(self)
        self.is_special = plan.http2 or self.destinations is not None
        """Not every request goes to an endpoint that the balancer picks: one look for the hot path."""

    def follow(self, plan: ClusterPlan, endpoints: EndpointSetPlan) -> None:
        """Take over new plans; connections to endpoints that are gone finish what they carry."""
        stays = plan.discovery == self.plan.discovery == "original_dst"
        spoken_to_otherwise = plan.sockets != self.plan.sockets
        self._take(plan)
        if spoken_to_otherwise:
            self.close_idle()
        if stays:  # its endpoints are the clients' affair
            self.state.plan = plan
            return
        for endpoint in self.state.adopt(plan, endpoints):
            pool = self._pools.get(endpoint)
            if pool is not None:
                pool.close_idle()

    def source(self, address: str) -> str:
        """The address to connect from to one of the same family; "" leaves it to the system."""
        for source in self.plan.sources:
            if (":" in source) == (":" in address):
                return source
        return ""

    def security(self, endpoint: EndpointState, *, http: bool = False) -> Security | None:
        """How to secure a connection to an endpoint; None for plain text. Raises NoSecret."""
        plan = self.plan.sockets.of(endpoint.says)
        return None if plan is None else self.runtime.tls.security(plan, http=http)

    def pool(self, endpoint: EndpointState) -> Pool:
        """The endpoint's pool, made at its first request."""
        pool = self._pools.get(endpoint)
        if pool is None:
            pool = self._pools[endpoint] = Pool(self, endpoint)
        return pool

    def forget_pool(self, pool: Pool) -> None:
        """A pool without connections need not be kept."""
        self._pools.pop(pool.endpoint, None)

    def close(self) -> None:
        """The cluster is gone from the configuration."""
        if self.destinations is not None:
            self.destinations.close()
        for endpoint in self.state.endpoints.values():
            endpoint.draining = True
        for pool in tuple(self._pools.values()):
            pool.close_idle()

    def close_idle(self) -> None:
        """Close all connections that rest."""
        for pool in tuple(self._pools.values()):
            pool.close_idle()
