"""A TcpPlan bound for the hot path."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mizzen.proxy.engine.plan import TcpPlan
from mizzen.proxy.engine.route import Target, weighted_choice
from mizzen.proxy.engine.stats import TcpStats
from mizzen.proxy.io.reporting import AccessLog

if TYPE_CHECKING:
    from mizzen.proxy.io.authorization import Authorization
    from mizzen.proxy.io.mixer_tcp import TcpGuard


class TcpManager:
    """Envoy's tcp_proxy as values; replaced as a whole when the listener's plan changes."""

    __slots__ = ("_by_server_name", "_choice", "authorization", "idle_timeout", "is_http2", "logs", "mixer", "stats")

    def __init__(self, plan: TcpPlan, logs: tuple[AccessLog, ...], stats: TcpStats) -> None:
        if not plan.clusters:
            raise ValueError(f"tcp proxy {plan.stat_prefix!r} has no destination")
        targets = tuple(Target(weighted.cluster, b"", None, None) for weighted in plan.clusters)
        self._choice = weighted_choice(targets, tuple(weighted.weight for weighted in plan.clusters))
        self._by_server_name = plan.by_server_name
        self.idle_timeout = plan.idle_timeout
        self.is_http2 = plan.is_http2
        self.logs = logs
        self.stats = stats
        self.authorization: Authorization | None = None
        """The RBAC filters; None without one."""
        self.mixer: TcpGuard | None = None
        """The filter `mixer`; None without one."""

    def choose(self, point: float, server_name: str) -> str:
        """The cluster for a point in [0, 1) and what the client asks for by SNI, if it does."""
        if self._by_server_name and server_name:
            return server_name
        return self._choice(point).cluster

    @property
    def asks_authorizer(self) -> bool:
        """Somebody outside has a say in who may come in."""
        return self.authorization is not None and self.authorization.asks
