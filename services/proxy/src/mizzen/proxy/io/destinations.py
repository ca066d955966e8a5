"""The endpoints of a cluster of type ORIGINAL_DST: made where clients want to go, forgotten when nobody uses them."""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING, Final

from mizzen.proxy.engine.arrival import Arrival
from mizzen.proxy.engine.state import EndpointState
from mizzen.proxy.io.timers import NEVER
from mizzen.runtime.address import Address

if TYPE_CHECKING:
    from mizzen.proxy.io.cluster import Cluster
    from mizzen.proxy.io.exchange import Exchange

_LONGEST: Final = 86_400.0
"""Seconds; Pilot writes "never" as thousands of years."""


class Destinations:
    """Has the methods of a timer's item."""

    __slots__ = ("_cluster", "_used", "look_at")

    def __init__(self, cluster: Cluster) -> None:
        self.look_at = NEVER
        self._cluster = cluster
        self._used: set[EndpointState] = set()
        """Since the last look."""

    def of_exchange(self, x: Exchange) -> EndpointState | None:
        """Where a request goes: to what its header names, if the cluster listens to one, else where it was going."""
        header = self._cluster.plan.destination.header
        named = x.header(header.encode()) if header else None
        if named is None:
            return self.of_arrival(x.downstream.arrival)
        try:
            address = Address.parse(named.decode("ascii"))
            ip_address(address.host)
        except ValueError:
            return None
        return self._endpoint(address.host, address.port)

    def of_arrival(self, arrival: Arrival | None) -> EndpointState | None:
        """Where a connection was going; None when nobody knows, or when that is this proxy itself."""
        if arrival is None or not arrival.restored:
            return None
        return self._endpoint(*arrival.destination)

    def _endpoint(self, host: str, port: int) -> EndpointState | None:
        cluster = self._cluster
        port = cluster.plan.destination.port or port
        if cluster.runtime.captures(host, port):
            return None  # it would come back, for ever
        endpoint = cluster.state.destination(host, port)
        self._used.add(endpoint)
        if self.look_at == NEVER:
            cluster.runtime.wheel.look(self, cluster.runtime.now() + self._interval)
        return endpoint

    @property
    def _interval(self) -> float:
        return min(self._cluster.plan.destination.cleanup_interval, _LONGEST)

    def on_timer(self, now: float) -> float:
        """Forget the endpoints that nobody used since the last look."""
        state = self._cluster.state
        state.forget(endpoint for endpoint in tuple(state.endpoints.values()) if endpoint not in self._used)
        self._used.clear()
        return now + self._interval if state.endpoints else NEVER

    def close(self) -> None:
        """The cluster is gone."""
        self._cluster.runtime.wheel.forget(self)
