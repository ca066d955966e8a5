"""What a client connection must not wait for longer than its limits allow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mizzen.proxy.base import flags
from mizzen.proxy.base.flags import LocalReply
from mizzen.proxy.io.exchange import Exchange
from mizzen.proxy.io.forward import abandon
from mizzen.proxy.io.respond import reply
from mizzen.proxy.io.timers import NEVER

if TYPE_CHECKING:
    from mizzen.proxy.io.downstream_h1 import Downstream

SOON: Final = 1.0
"""Seconds until the next look at a connection whose exchange has just been given up."""


def look(connection: Downstream, now: float) -> float:
    """Act on what is due (lingering, idle, request head, stream idle, route timeout); when to look again."""
    if connection.closing:
        connection.transport.abort()
        return NEVER
    x = connection.current
    if x is not None:
        return _look_at_exchange(connection, x, now)
    manager = connection.chain.http
    began = connection.head_began_at
    if began and manager.headers_timeout:
        due = began + manager.headers_timeout
        if due > now:
            return due
        partial = Exchange(connection, began)
        partial.manager = manager
        manager.stats.downstream_rq_header_timeout += 1
        connection.refuse(partial, flags.HEADERS_TIMEOUT, "the request head took too long to arrive")
        return min(connection.look_at, now + SOON)
    if not manager.idle_timeout:
        return NEVER
    due = connection.active_at + manager.idle_timeout
    if due > now:
        return due
    manager.stats.downstream_cx_idle_timeout += 1
    connection.leave()
    return now + SOON


def _look_at_exchange(connection: Downstream, x: Exchange, now: float) -> float:
    due = x.deadline or NEVER
    if due <= now:
        _give_up(connection, x, flags.REQUEST_TIMEOUT, now)
        return min(connection.look_at, now + SOON)
    idle = x.manager.stream_idle_timeout
    if idle:
        touched = max(connection.active_at, x.upstream.active_at if x.upstream is not None else 0.0)
        if touched + idle <= now:
            x.manager.stats.downstream_rq_idle_timeout += 1
            _give_up(connection, x, flags.IDLE_TIMEOUT, now)
            return min(connection.look_at, now + SOON)
        due = min(due, touched + idle)
    return min(due, now + (x.manager.idle_timeout or NEVER))


def _give_up(connection: Downstream, x: Exchange, local: LocalReply, now: float) -> None:
    if x.cluster is not None:
        x.cluster.stats.upstream_rq_timeout += 1
    where = "the client" if x.endpoint is None else f"{x.endpoint.key} of cluster {x.upstream_cluster}"
    connection.active_at = now
    abandon(x, failed=True)
    reply(x, local, f"no complete answer from {where} within the limit")
