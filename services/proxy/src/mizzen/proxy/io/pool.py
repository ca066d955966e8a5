"""The connections of one endpoint: idle ones last in first out, and the requests that wait for a new one."""

from __future__ import annotations

import asyncio
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Final, cast

from mizzen.proxy.base import flags
from mizzen.proxy.base.flags import LocalReply
from mizzen.proxy.engine.state import EndpointState
from mizzen.proxy.io import forward
from mizzen.proxy.io.exchange import Exchange
from mizzen.proxy.io.respond import reply
from mizzen.proxy.io.timers import NEVER
from mizzen.proxy.io.tls_contexts import NoSecret
from mizzen.proxy.io.upstream_h1 import Upstream

if TYPE_CHECKING:
    from mizzen.proxy.io.cluster import Cluster

MAX_PENDING: Final = 1024
"""Requests that may wait for a connection of one endpoint; Envoy's default."""


class Pool:
    """Connections of one endpoint of one cluster. The idle ones are in `idle`, newest last."""

    __slots__ = (
        "_connecting",
        "_open",
        "_pending",
        "cluster",
        "endpoint",
        "generation",
        "host",
        "idle",
        "idle_timeout",
        "runtime",
    )

    def __init__(self, cluster: Cluster, endpoint: EndpointState, host: str | None = None) -> None:
        """With `host`, which a client may have left empty, the connections are for requests of that Host alone."""
        self.cluster = cluster
        self.endpoint = endpoint
        self.host = host
        self.idle = endpoint.idle if host is None else []
        self.runtime = cluster.runtime
        self.idle_timeout = cluster.plan.idle_timeout or NEVER
        self.generation = 0
        """How often it has changed how the endpoint is spoken to."""
        self._pending: deque[Exchange] = deque()
        self._connecting = 0
        self._open: dict[Upstream, None] = {}

    def wait(self, x: Exchange) -> None:
        """Queue for a connection, and open one more when there are more waiting than being opened."""
        if self.idle:
            self.idle.pop().send(x)
            return
        stats = self.cluster.stats
        if len(self._pending) >= MAX_PENDING:
            stats.upstream_rq_pending_overflow += 1
            forward.leave_endpoint(x, failed=True)
            reply(x, flags.PENDING_OVERFLOW, f"{MAX_PENDING} requests already wait for {self.endpoint.key}")
            return
        stats.upstream_rq_pending_total += 1
        stats.upstream_rq_pending_active += 1
        self._pending.append(x)
        x.pool = self
        if self._connecting < len(self._pending):
            self._connect()

    def _connect(self) -> None:
        self._connecting += 1
        stats = self.cluster.stats
        stats.upstream_cx_total += 1
        stats.upstream_cx_http1_total += 1
        self.endpoint.total_connections += 1
        try:
            security = self.cluster.security(self.endpoint, http=True, host=self.host)
        except NoSecret as error:
            self.runtime.loop.call_soon(partial(self._failed, f"TLS_error: {error}", timed_out=False))
            return
        self.runtime.connector.connect(
            partial(_connection, self, self.generation),
            (self.endpoint.address, self.endpoint.port),
            self.cluster.plan.connect_timeout,
            self._failed,
            self.cluster.source(self.endpoint.address),
            security,
        )

    def cancel(self, x: Exchange) -> None:
        """Leave the queue."""
        x.pool = None
        if x in self._pending:
            self._pending.remove(x)
            self.cluster.stats.upstream_rq_pending_active -= 1

    def _failed(self, reason: str, *, timed_out: bool) -> None:
        """A connection was not made: the request that waits longest hears of it."""
        self._connecting -= 1
        stats = self.cluster.stats
        stats.upstream_cx_connect_fail += 1
        if timed_out:
            stats.upstream_cx_connect_timeout += 1
        self.endpoint.connect_failures += 1
        if self._pending and self._connecting < len(self._pending):
            x = self._take()
            failure: LocalReply = flags.connect_timeout() if timed_out else flags.connect_failure(reason)
            forward.connect_failed(x, self, failure, reason)

    def _take(self) -> Exchange:
        x = self._pending.popleft()
        x.pool = None
        self.cluster.stats.upstream_rq_pending_active -= 1
        return x

    # -- called by the connections ----------------------------------------------------------------------------------

    def opened(self, connection: Upstream) -> None:
        """A connection is ready for its first request."""
        self._connecting -= 1
        self._open[connection] = None
        self.endpoint.active_connections += 1
        self.cluster.stats.upstream_cx_active += 1
        self.release(connection)

    def release(self, connection: Upstream) -> None:
        """A connection is free: the next request takes it, or it rests."""
        limit = self.cluster.plan.max_requests_per_connection
        if limit and connection.requests >= limit:
            self.cluster.stats.upstream_cx_max_requests += 1
            self._replace(connection)
        elif connection.generation != self.generation:
            self._replace(connection)
        elif self._pending:
            connection.send(self._take())
        elif self.endpoint.draining:
            connection.close()
        else:
            self.idle.append(connection)
            if connection.look_at == NEVER:
                self.runtime.wheel.look(connection, connection.active_at + self.idle_timeout)

    def _replace(self, connection: Upstream) -> None:
        connection.close()
        if self._pending and self._connecting < len(self._pending):
            self._connect()

    def withdraw(self, connection: Upstream) -> None:
        """The connection closes; it must not be given out any more."""
        if connection in self.idle:
            self.idle.remove(connection)

    def closed(self, connection: Upstream) -> None:
        """The connection is gone."""
        self.withdraw(connection)
        if self._open.pop(connection, connection) is None:
            self.endpoint.active_connections -= 1
            stats = self.cluster.stats
            stats.upstream_cx_active -= 1
            stats.upstream_cx_destroy += 1
            stats.upstream_cx_length_ms.record((self.runtime.now() - connection.opened_at) * 1000.0)
        if self.is_unused():
            self.cluster.forget_pool(self)

    def is_unused(self) -> bool:
        """Nothing is open, being opened or waiting."""
        return not (self._open or self._connecting or self._pending)

    def renew(self) -> None:
        """The endpoint is to be spoken to in another way: no connection that there is now carries another request."""
        self.generation += 1
        self.close_idle()

    def close_idle(self) -> None:
        """Close what rests; what is under way ends by itself."""
        for connection in tuple(self.idle):
            connection.close()


def _connection(pool: Pool, generation: int) -> asyncio.Protocol:
    return cast("asyncio.Protocol", Upstream(pool, generation))
