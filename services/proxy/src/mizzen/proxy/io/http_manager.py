"""An HttpPlan bound for the hot path: everything a request asks of its listener."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from mizzen.proxy.codec.headers import line
from mizzen.proxy.engine.plan import HttpPlan
from mizzen.proxy.engine.stats import HttpStats
from mizzen.proxy.engine.table import RouteTable
from mizzen.proxy.io.telemetry import Sample

if TYPE_CHECKING:
    from mizzen.proxy.io.authorization import Authorization
    from mizzen.proxy.io.exchange import Exchange
    from mizzen.proxy.io.mixer import Guard


class Log(Protocol):
    """Keeps finished exchanges until somebody has the time to look at them."""

    def append(self, record: Exchange, /) -> None: ...


class HttpManager:
    """Envoy's HttpConnectionManager as values; replaced with the listener's plan, while `table` follows RDS."""

    __slots__ = (
        "accept_http_10",
        "authorization",
        "client_cert",
        "direction",
        "discovers_table",
        "escaped_slashes",
        "generate_request_id",
        "headers_timeout",
        "idle_timeout",
        "logs",
        "max_request_headers",
        "max_requests",
        "merge_slashes",
        "mixer",
        "name",
        "names_client",
        "normalize_path",
        "samples",
        "server",
        "stats",
        "stream_idle_timeout",
        "table",
        "table_name",
        "tells_reasons",
        "trusted_hops",
        "use_remote_address",
        "via",
    )

    def __init__(
        self, name: str, plan: HttpPlan, table: RouteTable | None, logs: tuple[Log, ...], stats: HttpStats
    ) -> None:
        self.name = name
        """The listener's, for reasons."""
        self.table = table
        """None until the route table that the listener names is known."""
        self.discovers_table = isinstance(plan.route_table, str)
        """The table is named (RDS) and not part of the listener."""
        self.table_name = plan.route_table if isinstance(plan.route_table, str) else plan.route_table.name
        self.logs = logs
        self.direction = ""
        """The listener's."""
        self.samples: list[Sample] = []
        """What becomes of finished requests in Istio's metrics."""
        self.authorization: Authorization | None = None
        """The RBAC filters; None without one."""
        self.client_cert = plan.client_cert
        self.names_client = plan.client_cert.mode in ("append_forward", "sanitize_set")
        """x-forwarded-client-cert is written, not only left or taken out."""
        self.mixer: Guard | None = None
        """The filter `mixer`; None without one."""
        self.stats = stats
        self.server = line(b"server", plan.server_name.encode())
        """The Server header of every response."""
        self.via = plan.via.encode()
        """What is added to `via` of requests and responses; b"" for nothing."""
        self.tells_reasons = plan.tells_reasons
        """Answers of our own say why, to everybody."""
        self.use_remote_address = plan.use_remote_address
        self.trusted_hops = plan.trusted_hops
        self.generate_request_id = plan.generate_request_id
        self.normalize_path = plan.normalize_path
        self.merge_slashes = plan.merge_slashes
        self.escaped_slashes = plan.escaped_slashes
        self.idle_timeout = plan.idle_timeout
        self.headers_timeout = plan.headers_timeout
        self.stream_idle_timeout = plan.stream_idle_timeout
        self.max_request_headers = plan.max_request_headers
        self.max_requests = plan.max_requests_per_connection
        self.accept_http_10 = plan.accept_http_10

    @property
    def asks_authorizer(self) -> bool:
        """Somebody outside has a say in who may come in."""
        return self.authorization is not None and self.authorization.asks

    @property
    def reads_tokens(self) -> bool:
        """Requests whose tokens are not good are refused."""
        return self.authorization is not None and self.authorization.reads_tokens
