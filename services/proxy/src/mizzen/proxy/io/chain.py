"""A filter chain at run time: how the connections that it took are handled, while its plan changes."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias, cast

from mizzen.proxy.engine.arrival import Arrival
from mizzen.proxy.engine.chains import ChainTable
from mizzen.proxy.engine.plan import ChainMatch, RefusePlan
from mizzen.proxy.engine.tls_plan import ServerTlsPlan
from mizzen.proxy.io.downstream_h1 import Downstream
from mizzen.proxy.io.http_manager import HttpManager
from mizzen.proxy.io.reporting import AccessLog
from mizzen.proxy.io.tcp_manager import TcpManager
from mizzen.proxy.io.tls_contexts import Inside
from mizzen.proxy.io.tunnel import Tunnel

if TYPE_CHECKING:
    from mizzen.proxy.io.listener import Listener

ChainKey: TypeAlias = tuple[str, ChainMatch] | None
"""Name and match; None is the default chain, and the only one of a listener that has no choice."""
Manager: TypeAlias = HttpManager | TcpManager | RefusePlan
Established: TypeAlias = Downstream | Tunnel
"""A connection that a chain handles."""


@dataclass(frozen=True, slots=True)
class BoundChains:
    """The filter chains of a plan, bound for the hot path."""

    managers: dict[ChainKey, Manager]
    table: ChainTable[ChainKey] | None
    """How one is chosen; None when there is only one."""
    logs: tuple[AccessLog, ...]
    """For connections that nobody takes."""
    tls: Mapping[ChainKey, ServerTlsPlan]
    """Of the chains that end TLS."""


class Connection(Protocol):
    """What a listener can do to its connections."""

    def close(self) -> None:
        """Close if idle."""

    def abort(self) -> None:
        """Close now."""


class Chain:
    """Lives as long as its listener has a filter chain of its name and match, of the same protocol and in the same TLS.

    Else who had connected before would go on by rules that nobody changes any more, or without the certificate that
    is asked for now.
    """

    __slots__ = ("buffer_limit", "draining", "guards", "http", "listener", "manager", "name", "runtime", "tcp", "tls")

    http: HttpManager
    """How requests are handled from now on; only while the chain is one for HTTP."""
    tcp: TcpManager

    def __init__(self, listener: Listener, name: str) -> None:
        self.listener = listener
        self.name = name
        self.runtime = listener.runtime
        self.draining = False
        """Its connections end after what is under way."""
        self.guards: tuple[object, ...] = ()
        """What decides who may connect, as plans: what is open is judged again when they change."""

    @property
    def inside(self) -> Inside:
        """What is spoken in its TLS, as far as this proxy knows before."""
        return "h2" if isinstance(self.manager, TcpManager) and self.manager.is_http2 else "bytes"

    def can_become(self, manager: Manager, tls: ServerTlsPlan | None) -> bool:
        """Whether connections that are open can be handled so."""
        return type(manager) is type(self.manager) and tls == self.tls

    def follow(self, manager: Manager, buffer_limit: int, tls: ServerTlsPlan | None = None) -> None:
        """Take over a new plan: it holds for the next request, also on connections that are open."""
        self.manager = manager
        self.tls = tls
        self.buffer_limit = buffer_limit
        if isinstance(manager, HttpManager):
            self.http = manager
        elif isinstance(manager, TcpManager):
            self.tcp = manager
            self._judge_again(manager)

    def _judge_again(self, manager: TcpManager) -> None:
        before, self.guards = self.guards, manager.authorization.plans if manager.authorization is not None else ()
        if self.guards == before:
            return
        for connection in tuple(self.listener.connections):
            if isinstance(connection, Tunnel) and connection.chain is self:
                connection.judge()

    def adopt(self, connection: Established) -> None:
        """Handle a connection from now on that another chain has taken, and which this one can become for it."""
        before, connection.chain = connection.chain, self
        if isinstance(connection, Tunnel) and self.guards != before.guards:
            connection.judge()

    def protocol(self, arrival: Arrival | None = None) -> asyncio.Protocol:
        """The protocol object of a new connection."""
        if isinstance(self.manager, HttpManager):
            return cast("asyncio.Protocol", Downstream(self, arrival))
        return Tunnel(self, arrival).downstream

    def opened(self, connection: Connection) -> None:
        """A connection is handled from now on."""
        stats = self.listener.stats
        stats.downstream_cx_total += 1
        stats.downstream_cx_active += 1
        http = self.http.stats if isinstance(self.manager, HttpManager) else None
        self.listener.connections[connection] = http
        if http is not None:
            http.downstream_cx_total += 1
            http.downstream_cx_http1_total += 1
            http.downstream_cx_active += 1
            http.downstream_cx_http1_active += 1

    def closed(self, connection: Connection) -> None:
        """A connection is gone."""
        stats = self.listener.stats
        stats.downstream_cx_active -= 1
        stats.downstream_cx_destroy += 1
        http = self.listener.connections.pop(connection)
        if http is not None:
            http.downstream_cx_active -= 1
            http.downstream_cx_http1_active -= 1
            http.downstream_cx_destroy += 1
