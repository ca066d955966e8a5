"""A cluster at run time: its state in the engine and the pools of its endpoints."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mizzen.proxy.codec.headers import value_of
from mizzen.proxy.engine.plan import ClusterPlan, EndpointSetPlan
from mizzen.proxy.engine.state import ClusterState, EndpointState
from mizzen.proxy.engine.stats import TlsStats
from mizzen.proxy.io.connect import ClientSecurity
from mizzen.proxy.io.destinations import Destinations
from mizzen.proxy.io.pool import Pool

if TYPE_CHECKING:
    from mizzen.proxy.io.exchange import Exchange
    from mizzen.proxy.io.runtime import Runtime


class Cluster:
    """Lives from the first plan of its name to the last."""

    __slots__ = ("_pools", "destinations", "is_special", "name", "plan", "runtime", "state", "stats")

    def __init__(self, runtime: Runtime, plan: ClusterPlan) -> None:
        self.runtime = runtime
        self.name = plan.name
        self.state = ClusterState(plan, runtime.chance)
        self.stats = self.state.stats
        self._pools: dict[tuple[EndpointState, str | None], Pool] = {}
        """By endpoint and, where it goes by that, the host that requests are for."""
        self.destinations: Destinations | None = None
        """Makes endpoints where clients want to go; None where they are known beforehand."""
        self.plan = plan
        self.take(plan)

    def take(self, plan: ClusterPlan) -> None:
        """Take over a new plan but for the endpoints; nobody is spoken to any more as the old one said."""
        spoken_to_otherwise = plan.sockets != self.plan.sockets
        self.plan = plan
        if plan.discovery != "original_dst":
            self.destinations = None
        elif self.destinations is None:
            self.destinations = Destinations(self)
        self.is_special = plan.http2 or self.destinations is not None or plan.sockets.goes_by_host
        """Not every request goes where the balancer says, over any connection: one look for the hot path."""
        if spoken_to_otherwise:
            for pool in tuple(self._pools.values()):
                pool.renew()

    def follow(self, plan: ClusterPlan, endpoints: EndpointSetPlan) -> None:
        """Take over new plans; connections to endpoints that are gone finish what they carry."""
        stays = plan.discovery == self.plan.discovery == "original_dst"
        self.take(plan)
        if stays:  # its endpoints are the clients' affair
            self.state.plan = plan
            return
        said = [(pool, pool.endpoint.says) for pool in self._pools.values()]
        removed = self.state.adopt(plan, endpoints)
        for pool, before in said:
            if pool.endpoint.says != before:
                pool.renew()
            elif pool.endpoint in removed:
                pool.close_idle()

    def source(self, address: str) -> str:
        """The address to connect from to one of the same family; "" leaves it to the system."""
        for source in self.plan.sources:
            if (":" in source) == (":" in address):
                return source
        return ""

    def security(
        self, endpoint: EndpointState, *, http: bool = False, host: str | None = None
    ) -> ClientSecurity | None:
        """How to secure a connection to an endpoint; None for plain text. Raises NoSecret.

        With `host`, it is for requests of that Host alone.
        """
        sockets, contexts = self.plan.sockets, self.runtime.tls
        plan = sockets.of(endpoint.says)
        if plan is None:
            return None
        if self.stats.ssl is None:
            self.stats.ssl = TlsStats()
        if host is None:
            security = contexts.security(plan, "http/1.1" if http else "bytes")
        else:
            security = contexts.security_of_host(plan, sockets, host)
        return ClientSecurity(security, self.stats.ssl)

    def pool(self, endpoint: EndpointState, host: str | None = None) -> Pool:
        """The endpoint's pool, made at its first request."""
        pool = self._pools.get((endpoint, host))
        if pool is None:
            pool = self._pools[endpoint, host] = Pool(self, endpoint, host)
        return pool

    def pool_of(self, endpoint: EndpointState, x: Exchange) -> Pool:
        """The endpoint's pool for a request of a special cluster."""
        return self.pool(endpoint, host_of(x) if self.plan.sockets.goes_by_host else None)

    def forget_pool(self, pool: Pool) -> None:
        """A pool without connections need not be kept."""
        self._pools.pop((pool.endpoint, pool.host), None)

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


def host_of(x: Exchange) -> str:
    """Whom a request is for, as the endpoint will read it, without the port."""
    return bare_host(value_of(x.head, b"host") or b"")


def bare_host(authority: bytes) -> str:
    """A Host header's value without the port, in lower case; an IPv6 address without brackets."""
    host = authority.decode("latin-1").lower()
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]
