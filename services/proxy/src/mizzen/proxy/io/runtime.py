"""Everything a worker runs, and how an update from the agent replaces it."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable, Mapping
from email.utils import formatdate
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Final

from mizzen.proxy.engine.bytewise import as_bytes
from mizzen.proxy.engine.chains import ChainTable
from mizzen.proxy.engine.control import Stats, Update
from mizzen.proxy.engine.hand_off import HandOff
from mizzen.proxy.engine.plan import (
    ChoicePlan,
    ClusterPlan,
    EndpointSetPlan,
    HttpPlan,
    ListenerPlan,
    RefusePlan,
    RouteTablePlan,
    TcpPlan,
)
from mizzen.proxy.engine.stats import AuthorizationStats, HttpStats, JwtStats, TcpStats, export
from mizzen.proxy.engine.table import RouteTable, bind_table
from mizzen.proxy.engine.tls_plan import SecretPlan, ServerTlsPlan
from mizzen.proxy.io.authorization import Authorization
from mizzen.proxy.io.chain import BoundChains, ChainKey, Manager
from mizzen.proxy.io.cluster import Cluster
from mizzen.proxy.io.connect import Connector
from mizzen.proxy.io.http_manager import HttpManager
from mizzen.proxy.io.inquiries import Inquiries
from mizzen.proxy.io.listener import Listener
from mizzen.proxy.io.mixer import Guard, MixerClient
from mizzen.proxy.io.mixer_reports import MixerLog, ReportQueue
from mizzen.proxy.io.mixer_tcp import TcpGuard
from mizzen.proxy.io.original_dst import Kernel
from mizzen.proxy.io.reporting import AccessLog, AccessLogs
from mizzen.proxy.io.request_ids import RequestIds
from mizzen.proxy.io.resolver import Lookup, Resolver, look_up
from mizzen.proxy.io.tcp_manager import TcpManager
from mizzen.proxy.io.telemetry import Telemetry
from mizzen.proxy.io.timers import Wheel
from mizzen.proxy.io.tls_contexts import TlsContexts, check_secrets

if TYPE_CHECKING:
    from mizzen.proxy.engine.jwt.plan import JwtPlan
    from mizzen.proxy.io.tokens import Tokens

RBAC_FILTERS: Final = {"http": "envoy.filters.http.rbac", "tcp": "envoy.filters.network.rbac"}
"""Under which names filters that come after them find what RBAC filters noted."""


class Runtime:
    """The worker's configuration and state. Requests read it; only `apply` and `drain` write it."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        chance: Callable[[], float],
        connector: Connector | None = None,
        lookup: Lookup = look_up,
        kernel: Kernel | None = None,
    ) -> None:
        self.loop = loop
        self.now = loop.time
        self.chance = chance
        self.connector = connector or Connector(loop)
        self.wheel = Wheel(loop)
        self.request_ids = RequestIds()
        self.access_logs = AccessLogs(loop, socket.gethostname())
        self.telemetry = Telemetry()
        self.mixer = MixerClient(loop)
        self.reports = ReportQueue(loop, self.mixer)
        self.inquiries = Inquiries(loop)
        self.clusters: dict[str, Cluster] = {}
        self.listeners: dict[str, Listener] = {}
        self.draining = False
        self.kernel = kernel or Kernel()
        self._lookup = lookup
        self._hand_off = HandOff(())
        self._capturing: frozenset[int] = frozenset()
        """Ports of the listeners that take redirected connections."""
        self.tls = TlsContexts()
        self._tables: dict[str, RouteTable] = {}
        self._endpoint_sets: dict[str, EndpointSetPlan] = {}
        self._secrets: dict[str, SecretPlan] = {}
        self._resolvers: dict[str, Resolver] = {}
        self._retired: set[Listener] = set()
        self._http_stats: dict[str, HttpStats] = {}
        self._tcp_stats: dict[str, TcpStats] = {}
        self._authorizations: dict[tuple[str, str], AuthorizationStats] = {}
        self._jwt_stats: dict[str, JwtStats] = {}
        self._connection_ids = count(1)
        self._unix_offset = time.time() - loop.time()
        self._date = b""
        self._date_until = 0.0

    # -- small services to the hot path -----------------------------------------------------------------------------

    def next_connection_id(self) -> int:
        """Counts connections from 1."""
        return next(self._connection_ids)

    def unix_time(self, when: float) -> float:
        """The loop's time as Unix time."""
        return when + self._unix_offset

    def date(self) -> bytes:
        """The Date header of this second, as a line."""
        now = self.now()
        if now >= self._date_until:
            unix = time.time()
            self._unix_offset = unix - now
            self._date = b"date: " + formatdate(int(unix), usegmt=True).encode()
            self._date_until = now + 1.0 - unix % 1.0
        return self._date

    # -- captured connections ---------------------------------------------------------------------------------------

    def listener_of(self, destination: tuple[str, int]) -> Listener | None:
        """Whom a redirected connection is handed to."""
        name = self._hand_off.find(destination)
        return None if name is None else self.listeners.get(name)

    def captures(self, host: str, port: int) -> bool:
        """Whether a connection to this address would arrive here again as a captured one."""
        return port in self._capturing and self.kernel.is_own_address(host)

    # -- updates ----------------------------------------------------------------------------------------------------

    async def apply(self, update: Update, sockets: Mapping[str, socket.socket]) -> None:
        """Replace configuration, all at once. ValueError or OSError: nothing was changed."""
        change = _Change(self, update)
        for name, plan in change.listeners.items():
            if any(key not in sockets for key in plan.sockets) and not self._has_sockets(plan):
                raise ValueError(f"listener {name}: no socket came with it")
            change.bound[name] = self._bind(plan, change)
        fresh: dict[str, Listener] = {}
        try:
            for name, plan in change.listeners.items():
                if any(key in sockets for key in plan.sockets) or not self._has_sockets(plan):
                    listener = fresh[name] = Listener(self, plan, change.bound[name])
                    await listener.prepare([sockets[key] for key in plan.sockets])
        except OSError as error:
            for listener in fresh.values():
                listener.stop()
            raise OSError(f"listener {name}: {error}") from error
        self._swap(change, fresh)
        for listener in fresh.values():
            await listener.start()

    def _has_sockets(self, plan: ListenerPlan) -> bool:
        """Whether the listener that is there has what the plan needs, no more and no less."""
        current = self.listeners.get(plan.name)
        return current is not None and current.plan.sockets.keys() == plan.sockets.keys()

    def _bind(self, plan: ListenerPlan, change: _Change) -> BoundChains:
        handler = plan.handler
        try:
            logs = self.access_logs.bind(plan.access_logs)
            if not isinstance(handler, ChoicePlan):
                return BoundChains({None: self._bind_handler(plan, handler, change)}, None, logs, {})
            tls: dict[ChainKey, ServerTlsPlan] = {(c.name, c.match): c.tls for c in handler.chains if c.tls is not None}
            if handler.default_tls is not None:
                tls[None] = handler.default_tls
            managers: dict[ChainKey, Manager] = {
                (chain.name, chain.match): self._bind_handler(plan, chain.handler, change) for chain in handler.chains
            }
            if handler.default is not None:
                managers[None] = self._bind_handler(plan, handler.default, change)
            table = ChainTable[ChainKey]((chain.match, (chain.name, chain.match)) for chain in handler.chains)
        except ValueError as error:
            raise ValueError(f"listener {plan.name}: {error}") from error
        return BoundChains(managers, table, logs, tls)

    def _bind_handler(
        self, listener: ListenerPlan, handler: HttpPlan | TcpPlan | RefusePlan, change: _Change
    ) -> Manager:
        if isinstance(handler, RefusePlan):
            return handler
        if isinstance(handler, HttpPlan) and listener.direction == "inbound":
            handler = as_bytes(handler, change.takes_http2) or handler
        logs = self.access_logs.bind(handler.access_logs)
        if not isinstance(handler, HttpPlan):
            return self._bind_tcp(handler, logs)
        named = handler.route_table
        table = change.tables.get(named) if isinstance(named, str) else bind_table(named)
        stats = self._http_stats.setdefault(handler.stat_prefix, HttpStats())
        manager = HttpManager(listener.name, handler, table, logs, stats)
        manager.direction = listener.direction
        manager.samples = self.telemetry.samples
        if handler.guards:
            manager.authorization = self._authorization("http", handler)
        if handler.mixer is not None:
            manager.mixer = guard = Guard(self.mixer, handler.mixer)
            manager.logs = (*logs, MixerLog(guard, self.reports))
        return manager

    def _authorization(self, scope: str, plan: HttpPlan | TcpPlan) -> Authorization:
        stats = self._authorizations.setdefault((scope, plan.stat_prefix), AuthorizationStats())
        return Authorization(plan.guards, stats, RBAC_FILTERS[scope], partial(self._tokens, plan.stat_prefix))

    def _tokens(self, stat_prefix: str, plan: JwtPlan) -> Tokens:
        # What verifies signatures takes 18 MB: only workers that are shown tokens load it.
        from mizzen.proxy.io.tokens import Tokens

        return Tokens(plan, self._jwt_stats.setdefault(stat_prefix, JwtStats()))

    def _bind_tcp(self, plan: TcpPlan, logs: tuple[AccessLog, ...]) -> TcpManager:
        manager = TcpManager(plan, logs, self._tcp_stats.setdefault(plan.stat_prefix, TcpStats()))
        if plan.guards:
            manager.authorization = self._authorization("tcp", plan)
        if plan.mixer is not None:
            manager.mixer = TcpGuard(self.mixer, plan.mixer)
        return manager

    def _swap(self, change: _Change, fresh: Mapping[str, Listener]) -> None:
        self._tables = change.tables
        self._endpoint_sets = change.endpoint_sets
        self._secrets = change.secrets
        self.tls.follow(change.secrets)
        self._swap_clusters(change)
        for name in change.removed_listeners:
            self._retire(name, spares_open=change.spares_open)
        for name, listener in fresh.items():
            self._retire(name)
            self.listeners[name] = listener
        for name, plan in change.listeners.items():
            self.listeners[name].follow(plan, change.bound[name])
        for listener in self.listeners.values():
            for manager in listener.managers:
                if isinstance(manager, HttpManager) and manager.discovers_table:
                    manager.table = self._tables.get(manager.table_name)
        if change.listeners or change.removed_listeners:
            self._note_addresses()

    def _note_addresses(self) -> None:
        plans = [listener.plan for listener in self.listeners.values()]
        self._hand_off = HandOff(plans)
        capturing = [plan for plan in plans if plan.bound and (plan.hands_off or plan.restores)]
        self._capturing = frozenset(port for plan in capturing for _, port in plan.addresses)

    def _swap_clusters(self, change: _Change) -> None:
        for name in change.removed_clusters:
            gone = self.clusters.pop(name, None)
            if gone is not None:
                gone.close()
            self._stop_resolving(name)
        for name, plan in change.clusters.items():
            if name not in self.clusters:
                self.clusters[name] = Cluster(self, plan)
            self._stop_resolving(name)
            if plan.discovery == "dns":
                self._resolve(self.clusters[name], plan)
            else:
                self.clusters[name].follow(plan, self._endpoints(plan))
        for name, cluster in self.clusters.items():
            endpoint_set = cluster.plan.endpoint_set
            if name not in change.clusters and isinstance(endpoint_set, str) and endpoint_set in change.touched_sets:
                cluster.follow(cluster.plan, self._endpoints(cluster.plan))

    def _endpoints(self, plan: ClusterPlan) -> EndpointSetPlan:
        declared = plan.endpoint_set
        if isinstance(declared, EndpointSetPlan):
            return declared
        return self._endpoint_sets.get(declared, EndpointSetPlan(declared, ()))

    def _resolve(self, cluster: Cluster, plan: ClusterPlan) -> None:
        cluster.take(plan)
        self._resolvers[plan.name] = Resolver(
            plan, self._endpoints(plan), lambda found: cluster.follow(plan, found), self._lookup
        )

    def _stop_resolving(self, name: str) -> None:
        resolver = self._resolvers.pop(name, None)
        if resolver is not None:
            resolver.stop()

    def _retire(self, name: str, *, spares_open: bool = False) -> None:
        listener = self.listeners.pop(name, None)
        if listener is not None:
            if spares_open:
                listener.stop()
            else:
                listener.retire()
            self._retired = {old for old in self._retired if old.connections}
            if listener.connections:
                self._retired.add(listener)

    # -- the end ----------------------------------------------------------------------------------------------------

    async def drain(self, grace: float, *, stop: bool) -> None:
        """Answer with `connection: close` and close what is idle.

        `stop` also ends the listeners and, when nothing is left or after `grace` seconds, everything.
        """
        self.draining = True
        everything = [*self.listeners.values(), *self._retired]
        for listener in everything:
            if stop:
                listener.stop()
            else:
                listener.close_idle()
        if not stop:
            return
        deadline = self.now() + grace
        while any(listener.connections for listener in everything) and self.now() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(0.05)  # an event would cost every connection a check for the worker's last seconds
        self.close(everything)

    def close(self, listeners: list[Listener]) -> None:
        """Cut what is left and write the last log lines."""
        for listener in listeners:
            listener.abort()
        for name in tuple(self._resolvers):
            self._stop_resolving(name)
        for cluster in self.clusters.values():
            cluster.close()
        self.reports.flush()
        self.access_logs.close()

    # -- counters ---------------------------------------------------------------------------------------------------

    def stats(self, serial: int) -> Stats:
        """Everything counted since the start."""
        stats = Stats(serial)
        rows = [row for cluster in self.clusters.values() for row in cluster.state.export(stats)]
        for prefix, http in self._http_stats.items():
            export("http", prefix, http, stats)
        for prefix, tcp in self._tcp_stats.items():
            export("tcp", prefix, tcp, stats)
        for prefix, jwt in self._jwt_stats.items():
            export("http", prefix, jwt, stats)
        for (scope, prefix), guards in self._authorizations.items():
            export(scope, prefix, guards, stats)
        for name, listener in self.listeners.items():
            export("listener", name, listener.stats, stats)
        self.telemetry.export(stats)
        export("http_mixer_filter", "", self.mixer.stats, stats)
        export("tcp_mixer_filter", "", self.mixer.tcp_stats, stats)
        stats.counters["mizzen_mixer", "", "check_failures_total"] = self.mixer.failures
        stats.counters["mizzen_mixer", "", "reports_dropped_total"] = self.reports.dropped
        stats.counters["server", "", "access_log_dropped"] = self.access_logs.dropped
        return Stats(serial, stats.counters, stats.gauges, stats.histograms, tuple(rows))


class _Change:
    """An update sorted by kind, its tables bound: what would be true after it. ValueError for what cannot be."""

    def __init__(self, runtime: Runtime, update: Update) -> None:
        self.tables = dict(runtime._tables)
        self.endpoint_sets = dict(runtime._endpoint_sets)
        self.secrets = dict(runtime._secrets)
        self.listeners: dict[str, ListenerPlan] = {}
        self.clusters: dict[str, ClusterPlan] = {}
        self.bound: dict[str, BoundChains] = {}
        self.removed_listeners: list[str] = []
        self.removed_clusters: list[str] = []
        self.touched_sets: set[str] = set()
        self.spares_open = update.spares_open
        for kind, name in update.removed:
            if kind == "listener":
                self.removed_listeners.append(name)
            elif kind == "cluster":
                self.removed_clusters.append(name)
            elif kind == "route_table":
                self.tables.pop(name, None)
            elif kind == "secret":
                self.secrets.pop(name, None)
            else:
                self.endpoint_sets.pop(name, None)
                self.touched_sets.add(name)
        for plan in update.plans:
            if isinstance(plan, ListenerPlan):
                self.listeners[plan.name] = plan
            elif isinstance(plan, RouteTablePlan):
                self.tables[plan.name] = bind_table(plan)
            elif isinstance(plan, ClusterPlan):
                self.clusters[plan.name] = plan
            elif isinstance(plan, SecretPlan):
                check_secrets((plan,))
                self.secrets[plan.name] = plan
            else:
                self.endpoint_sets[plan.name] = plan
                self.touched_sets.add(plan.name)
        self._http2 = {name for name, cluster in runtime.clusters.items() if cluster.plan.http2}
        self._look_again(runtime)

    def takes_http2(self, cluster: str) -> bool:
        """Whether the endpoints take nothing else."""
        return cluster in self._http2

    def _look_again(self, runtime: Runtime) -> None:
        """How a listener treats requests to the own application depends on what that takes."""
        before = self._http2
        changed = {name for name, plan in self.clusters.items() if plan.http2}
        self._http2 = (before - self.clusters.keys() - {*self.removed_clusters}) | changed
        if before != self._http2:
            for name, listener in runtime.listeners.items():
                if listener.plan.direction == "inbound" and name not in self.removed_listeners:
                    self.listeners.setdefault(name, listener.plan)
