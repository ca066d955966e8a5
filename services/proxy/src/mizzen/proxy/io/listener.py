"""A listening socket and the connections accepted from it."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING, Protocol, cast

from mizzen.proxy.engine.plan import ListenerPlan
from mizzen.proxy.engine.stats import HttpStats, ListenerStats
from mizzen.proxy.io.downstream_h1 import Downstream
from mizzen.proxy.io.http_manager import HttpManager
from mizzen.proxy.io.tcp_manager import TcpManager
from mizzen.proxy.io.tunnel import Tunnel

if TYPE_CHECKING:
    from mizzen.proxy.io.runtime import Runtime


class Connection(Protocol):
    """What a listener can do to its connections."""

    def close(self) -> None:
        """Close if idle."""

    def abort(self) -> None:
        """Close now."""


class Listener:
    """Keeps its socket and connections while its plan changes."""

    def __init__(self, runtime: Runtime, plan: ListenerPlan, manager: HttpManager | TcpManager) -> None:
        self.runtime = runtime
        self.name = plan.name
        self.stats = ListenerStats()
        self.draining = False
        self.connections: dict[Connection, HttpStats | None] = {}
        """Those that are open, with what counts them: the plan at their start may be another than at their end."""
        self._server: asyncio.Server | None = None
        self.follow(plan, manager)

    http: HttpManager
    """How requests are handled from now on; only while `plan` is an HTTP listener."""
    tcp: TcpManager

    def follow(self, plan: ListenerPlan, manager: HttpManager | TcpManager) -> None:
        """Take over a new plan: it holds for the next request, also on connections that are open."""
        self.plan = plan
        self.buffer_limit = plan.buffer_limit
        self.manager = manager
        if isinstance(manager, HttpManager):
            self.http = manager
        else:
            self.tcp = manager

    def protocol(self) -> asyncio.Protocol:
        """The protocol object of a new connection."""
        if isinstance(self.manager, HttpManager):
            return cast("asyncio.Protocol", Downstream(self))
        return Tunnel(self).downstream

    async def prepare(self, sock: socket.socket) -> None:
        """Take the socket, accept nothing yet. OSError when it cannot be listened on."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self.protocol, sock=sock, start_serving=False, backlog=BACKLOG)

    async def start(self) -> None:
        """Accept connections."""
        if self._server is not None:
            await self._server.start_serving()

    def stop(self) -> None:
        """Accept no more; close what is idle, let the rest finish."""
        self.draining = True
        if self._server is not None:
            self._server.close()
            self._server = None
        self.close_idle()

    def close_idle(self) -> None:
        """Close connections without a request under way."""
        for connection in tuple(self.connections):
            connection.close()

    def abort(self) -> None:
        """Cut all connections."""
        for connection in tuple(self.connections):
            connection.abort()

    def opened(self, connection: Connection) -> None:
        """A connection was accepted."""
        self.stats.downstream_cx_total += 1
        self.stats.downstream_cx_active += 1
        stats = self.connections[connection] = self.http.stats if isinstance(self.manager, HttpManager) else None
        if stats is not None:
            stats.downstream_cx_total += 1
            stats.downstream_cx_http1_total += 1
            stats.downstream_cx_active += 1
            stats.downstream_cx_http1_active += 1

    def closed(self, connection: Connection) -> None:
        """A connection is gone."""
        self.stats.downstream_cx_active -= 1
        self.stats.downstream_cx_destroy += 1
        stats = self.connections.pop(connection)
        if stats is not None:
            stats.downstream_cx_active -= 1
            stats.downstream_cx_http1_active -= 1
            stats.downstream_cx_destroy += 1


BACKLOG = 1024
"""Connections that may wait to be accepted; the kernel caps it at net.core.somaxconn."""
