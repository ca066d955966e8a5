"""A listener: its sockets if it has any, its filter chains, and the connections they took."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Iterable
from typing import TYPE_CHECKING

from mizzen.proxy.engine.arrival import Arrival
from mizzen.proxy.engine.plan import ListenerPlan
from mizzen.proxy.engine.stats import HttpStats, ListenerStats
from mizzen.proxy.io.chain import BoundChains, Chain, ChainKey, Connection, Established, Manager
from mizzen.proxy.io.http_manager import HttpManager
from mizzen.proxy.io.intake import Intake
from mizzen.proxy.io.tcp_manager import TcpManager
from mizzen.proxy.io.tunnel import Tunnel

if TYPE_CHECKING:
    from mizzen.proxy.io.runtime import Runtime

log = logging.getLogger(__name__)

BACKLOG = 1024
"""Connections that may wait to be accepted; the kernel caps it at net.core.somaxconn."""
DRAIN_SECONDS = 45.0
"""What the configuration has no place for any more may go on for so long (Istio's drainDuration)."""
WARN_SECONDS = 30.0
"""A listener tells at most so often that it refused connections for one reason; the counters know all."""


class Listener:
    """Keeps its sockets and connections while its plan changes."""

    def __init__(self, runtime: Runtime, plan: ListenerPlan, bound: BoundChains) -> None:
        self.runtime = runtime
        self.name = plan.name
        self.stats = ListenerStats()
        self.draining = False
        self.connections: dict[Connection, HttpStats | None] = {}
        """Those that are open, with what counts them: the plan at their start may be another than at their end."""
        self.chains: dict[ChainKey, Chain] = {}
        self._servers: list[asyncio.Server] = []
        self._warned: dict[str, float] = {}
        self.follow(plan, bound)

    def follow(self, plan: ListenerPlan, bound: BoundChains) -> None:
        """Take over a new plan; connections of chains that are gone, or of another kind now, end or change over."""
        self.plan = plan
        self.table = bound.table
        self.logs = bound.logs
        self._simple = bound.table is None and not (plan.hands_off or plan.restores or plan.transparent)
        """Nothing need be known of a connection."""
        before, self.chains = self.chains, {}
        for key, manager in bound.managers.items():
            tls, chain = bound.tls.get(key), before.get(key)
            if chain is None or not chain.can_become(manager, tls):
                chain = Chain(self, "" if key is None else key[0])
            self.chains[key] = chain
            chain.follow(manager, plan.buffer_limit, tls)
        for key, chain in before.items():
            if self.chains.get(key) is not chain:
                self._retire(chain)
        self._cut_unseen()

    @property
    def managers(self) -> Iterable[Manager]:
        """What handles connections, by chain."""
        return (chain.manager for chain in self.chains.values())

    def protocol(self) -> asyncio.Protocol:
        """The protocol object of a connection that was just accepted."""
        return self.chains[None].protocol() if self._simple else Intake(self)

    def choose(self, arrival: Arrival) -> Chain | None:
        """The filter chain for a connection; None when none takes it."""
        key = None if self.table is None else self.table.find(arrival)
        return self.chains.get(key)

    def successor(self, chain: Chain, arrival: Arrival | None) -> Chain | None:
        """The chain in which a connection of one that is gone goes on: it takes it now, and only its match differs.

        A port that becomes STRICT takes all TLS instead of the mesh's: the mesh must not notice.
        """
        found = self._now(arrival)
        if found is None or found.draining or found.name != chain.name:
            return None
        return found if found.can_become(chain.manager, chain.tls) else None

    def _now(self, arrival: Arrival | None) -> Chain | None:
        """The chain that would take a connection now; None also where it is not known what its first bytes said."""
        if arrival is None:
            return self.chains.get(None) if self.table is None else None
        return self.choose(arrival)

    def choose_for_bytes(self, arrival: Arrival, chain: Chain) -> Chain | None:
        """The filter chain that carries HTTP/2 as what it is to this proxy: bytes. `chain` is the one for HTTP.

        None when that is the only one, or when Mixer or an authorizer would not be asked where `chain` asks them, or
        where `chain` looks at tokens, which are not seen in bytes.
        """
        protocols, arrival.protocols = arrival.protocols, ()
        other = self.choose(arrival)
        arrival.protocols = protocols
        if other is None or not isinstance(other.manager, TcpManager):
            return None
        http, tcp = chain.http, other.tcp
        if http.reads_tokens or (http.mixer is not None and tcp.mixer is None):
            return None
        return None if http.asks_authorizer and not tcp.asks_authorizer else other

    def warn(self, reason: str, about: str) -> None:
        """Tell in the log, at times, that a connection was refused."""
        now = self.runtime.now()
        if self._warned.get(reason, 0.0) <= now:
            self._warned[reason] = now + WARN_SECONDS
            log.warning("listener %s: a connection was refused: %s (%s)", self.name, reason, about)

    async def prepare(self, sockets: Iterable[socket.socket]) -> None:
        """Take the sockets, accept nothing yet. OSError when they cannot be listened on."""
        for sock in sockets:
            server = await self.runtime.loop.create_server(
                self.protocol, sock=sock, start_serving=False, backlog=BACKLOG
            )
            self._servers.append(server)

    async def start(self) -> None:
        """Accept connections."""
        for server in self._servers:
            await server.start_serving()

    def stop(self) -> None:
        """Accept no more; close what is idle, let the rest finish."""
        self.draining = True
        for server in self._servers:
            server.close()
        self._servers.clear()
        for chain in self.chains.values():
            chain.draining = True
        self.close_idle()

    def retire(self) -> None:
        """The configuration has no such listener any more: stop, and cut in the end what does not end by itself."""
        self.stop()
        if self.connections:
            self.runtime.loop.call_later(DRAIN_SECONDS, self.abort)

    def close_idle(self) -> None:
        """Close connections without a request under way."""
        for connection in tuple(self.connections):
            connection.close()

    def abort(self) -> None:
        """Cut all connections."""
        for connection in tuple(self.connections):
            connection.abort()

    def _retire(self, chain: Chain) -> None:
        chain.draining = True
        for connection in self._of(chain):
            successor = self.successor(chain, connection.arrival)
            if successor is not None:
                successor.adopt(connection)
            else:
                connection.close()
        if self._of(chain):
            self.runtime.loop.call_later(DRAIN_SECONDS, self._cut, chain)

    def _cut_unseen(self) -> None:
        """Cut requests that are carried as bytes although somebody looks at such requests now."""
        for connection in tuple(self.connections):
            if isinstance(connection, Tunnel) and self._is_unseen(connection):
                connection.abort()

    def _is_unseen(self, tunnel: Tunnel) -> bool:
        """Whether somebody would look at its requests now. Most tunnels have none, and are not looked up."""
        arrival, chain = tunnel.arrival, tunnel.chain
        captured = arrival is not None and arrival.protocols == ("h2c",)
        left = chain.draining and chain.inside == "h2"
        if not captured and not left:
            return False
        now = self._now(arrival)
        if now is None:
            return left and any(isinstance(each.manager, HttpManager) for each in self._alike(tunnel))
        if not isinstance(now.manager, HttpManager):
            return False
        return arrival is None or not captured or self.choose_for_bytes(arrival, now) is None

    def _alike(self, tunnel: Tunnel) -> list[Chain]:
        """The chains that might take it if its first bytes were others; all, if nobody knows these."""
        name = tunnel.chain.name
        return [chain for chain in self.chains.values() if tunnel.arrival is None or chain.name == name]

    def _cut(self, chain: Chain) -> None:
        for connection in self._of(chain):
            connection.abort()

    def _of(self, chain: Chain) -> list[Established]:
        return [each for each in self.connections if isinstance(each, Established) and each.chain is chain]
