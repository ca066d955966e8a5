"""Counter cells: plain integers on slotted objects, named as Envoy names them, exported when somebody asks.

A gauge is a cell that goes down again. The hot path writes `stats.upstream_rq_total += 1` and nothing else.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from typing import Final, TypeAlias

from mizzen.proxy.engine.control import Stats

BUCKETS: Final = (
    0.5, 1.0, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1_000.0, 2_500.0, 5_000.0, 10_000.0, 30_000.0, 60_000.0,
    300_000.0, 600_000.0, 1_800_000.0, 3_600_000.0,
)  # fmt: skip
"""Upper ends of Envoy's default histogram buckets, milliseconds; one more bucket holds what lies above."""


class Histogram:
    """How often a duration fell into each bucket."""

    __slots__ = ("counts", "total")

    def __init__(self) -> None:
        self.counts = [0] * (len(BUCKETS) + 1)
        """Per bucket, not cumulative; the last one is unbounded."""
        self.total = 0.0
        """Milliseconds."""

    def record(self, milliseconds: float) -> None:
        self.counts[bisect_left(BUCKETS, milliseconds)] += 1
        self.total += milliseconds

    def export(self) -> tuple[float, ...]:
        """The counts in order, then the total."""
        return (*self.counts, self.total)


class StatusCells:
    """Responses by status code; the classes (2xx) are sums of these."""

    __slots__ = ("by_code",)

    def __init__(self) -> None:
        self.by_code: dict[int, int] = {}

    def record(self, status: int) -> None:
        by_code = self.by_code
        if status in by_code:
            by_code[status] += 1
        else:
            by_code[status] = 1

    def by_class(self) -> Iterator[tuple[str, int]]:
        """("2xx", count) for the classes 1 to 5."""
        for digit in range(1, 6):
            yield f"{digit}xx", sum(count for code, count in self.by_code.items() if code // 100 == digit)


_GAUGE: Final = {"gauge": True}


@dataclass(slots=True)
class TlsStats:
    """`listener.<address>.ssl.*` and `cluster.<name>.ssl.*`."""

    handshake: int = 0
    connection_error: int = 0
    """What OpenSSL found broken, besides certificates."""
    session_reused: int = 0
    no_certificate: int = 0
    """Good handshakes of peers that showed none."""
    fail_verify_no_cert: int = 0
    fail_verify_error: int = 0
    fail_verify_san: int = 0
    fail_verify_cert_hash: int = 0
    parameters: dict[str, int] = field(default_factory=dict)
    """How often versions (`versions.TLSv1.3`) and ciphers (`ciphers.AES256-GCM-SHA384`) were agreed on."""

    def agree(self, version: str, cipher: str) -> None:
        """Count a good handshake and its parameters."""
        self.handshake += 1
        for name in (f"versions.{version}", f"ciphers.{cipher}"):
            self.parameters[name] = self.parameters.get(name, 0) + 1


@dataclass(slots=True)
class ClusterStats:
    """`cluster.<name>.*`."""

    upstream_cx_total: int = 0
    upstream_cx_http1_total: int = 0
    upstream_cx_active: int = field(default=0, metadata=_GAUGE)
    upstream_cx_connect_fail: int = 0
    upstream_cx_connect_timeout: int = 0
    upstream_cx_connect_attempts_exceeded: int = 0
    upstream_cx_destroy: int = 0
    upstream_cx_destroy_local: int = 0
    upstream_cx_destroy_remote: int = 0
    upstream_cx_destroy_with_active_rq: int = 0
    upstream_cx_idle_timeout: int = 0
    upstream_cx_max_requests: int = 0
    upstream_cx_none_healthy: int = 0
    upstream_cx_overflow: int = 0
    upstream_cx_protocol_error: int = 0
    upstream_cx_rx_bytes_total: int = 0
    upstream_cx_tx_bytes_total: int = 0
    upstream_rq_total: int = 0
    upstream_rq_active: int = field(default=0, metadata=_GAUGE)
    upstream_rq_cancelled: int = 0
    upstream_rq_completed: int = 0
    upstream_rq_maintenance_mode: int = 0
    upstream_rq_pending_total: int = 0
    upstream_rq_pending_active: int = field(default=0, metadata=_GAUGE)
    upstream_rq_pending_failure_eject: int = 0
    upstream_rq_pending_overflow: int = 0
    upstream_rq_retry: int = 0
    upstream_rq_retry_limit_exceeded: int = 0
    upstream_rq_retry_success: int = 0
    upstream_rq_rx_reset: int = 0
    upstream_rq_timeout: int = 0
    upstream_rq_tx_reset: int = 0
    membership_change: int = 0
    membership_healthy: int = field(default=0, metadata=_GAUGE)
    membership_total: int = field(default=0, metadata=_GAUGE)
    statuses: StatusCells = field(default_factory=StatusCells, metadata={"prefix": "upstream_rq_", "codes": True})
    upstream_rq_time: Histogram = field(default_factory=Histogram)
    upstream_cx_connect_ms: Histogram = field(default_factory=Histogram)
    upstream_cx_length_ms: Histogram = field(default_factory=Histogram)
    ssl: TlsStats | None = None
    """None until there is TLS: most clusters have none."""


@dataclass(slots=True)
class HttpStats:
    """`http.<stat_prefix>.*`: an HttpConnectionManager and its router."""

    downstream_cx_total: int = 0
    downstream_cx_http1_total: int = 0
    downstream_cx_active: int = field(default=0, metadata=_GAUGE)
    downstream_cx_http1_active: int = field(default=0, metadata=_GAUGE)
    downstream_cx_destroy: int = 0
    downstream_cx_destroy_local: int = 0
    downstream_cx_destroy_remote: int = 0
    downstream_cx_destroy_active_rq: int = 0
    downstream_cx_drain_close: int = 0
    downstream_cx_idle_timeout: int = 0
    downstream_cx_max_requests_reached: int = 0
    downstream_cx_protocol_error: int = 0
    downstream_cx_rx_bytes_total: int = 0
    downstream_cx_tx_bytes_total: int = 0
    downstream_rq_total: int = 0
    downstream_rq_http1_total: int = 0
    downstream_rq_active: int = field(default=0, metadata=_GAUGE)
    downstream_rq_completed: int = 0
    downstream_rq_header_timeout: int = 0
    downstream_rq_idle_timeout: int = 0
    downstream_rq_non_relative_path: int = 0
    downstream_rq_response_before_rq_complete: int = 0
    downstream_rq_rx_reset: int = 0
    downstream_rq_timeout: int = 0
    downstream_rq_too_large: int = 0
    downstream_rq_tx_reset: int = 0
    downstream_rq_ws_on_non_ws_route: int = 0
    no_cluster: int = 0
    no_route: int = 0
    rq_direct_response: int = 0
    rq_redirect: int = 0
    rq_total: int = 0
    statuses: StatusCells = field(default_factory=StatusCells, metadata={"prefix": "downstream_rq_", "codes": False})
    downstream_rq_time: Histogram = field(default_factory=Histogram)
    downstream_cx_length_ms: Histogram = field(default_factory=Histogram)


@dataclass(slots=True)
class TcpStats:
    """`tcp.<stat_prefix>.*`."""

    downstream_cx_total: int = 0
    downstream_cx_no_route: int = 0
    downstream_cx_rx_bytes_total: int = 0
    downstream_cx_tx_bytes_total: int = 0
    idle_timeout: int = 0


@dataclass(slots=True)
class MixerStats:
    """`http_mixer_filter.*` and `tcp_mixer_filter.*`: the part that workers count."""

    total_check_calls: int = 0
    total_quota_calls: int = 0
    total_report_calls: int = 0


MAX_POLICIES: Final = 1000
"""Policies that are counted apart; what others deny is counted under `other`."""


@dataclass(slots=True)
class AuthorizationStats:
    """`http.<prefix>.rbac.*` and `.ext_authz.*`, the same of `tcp`: what guards decided."""

    # Each says `field` itself: in a function's result, mypyc would look for a number.
    rbac_allowed: int = field(default=0, metadata={"name": "rbac.allowed"})
    rbac_denied: int = field(default=0, metadata={"name": "rbac.denied"})
    ext_authz_ok: int = field(default=0, metadata={"name": "ext_authz.ok"})
    ext_authz_denied: int = field(default=0, metadata={"name": "ext_authz.denied"})
    ext_authz_error: int = field(default=0, metadata={"name": "ext_authz.error"})
    ext_authz_disabled: int = field(default=0, metadata={"name": "ext_authz.disabled"})
    """What no policy asks about."""
    ext_authz_failure_mode_allowed: int = field(default=0, metadata={"name": "ext_authz.failure_mode_allowed"})
    by_name: dict[str, int] = field(default_factory=dict, metadata={"counters": True})
    """Trials by the prefix of their rules, and denials by policy: `rbac.policy.<name>.denied`."""

    def count_denial(self, policy: str) -> None:
        """A policy kept somebody out; "": none let them in."""
        self.rbac_denied += 1
        self._count(f"rbac.policy.{policy or 'none'}.denied", "rbac.policy.other.denied")

    def count_trial(self, prefix: str, *, allowed: bool) -> None:
        """What rules on trial would have done."""
        name = f"rbac.{prefix}shadow_{'allowed' if allowed else 'denied'}"
        self._count(name, "rbac.shadow_other")

    def _count(self, name: str, otherwise: str) -> None:
        counts = self.by_name
        if name not in counts and len(counts) >= MAX_POLICIES:
            name = otherwise
        counts[name] = counts.get(name, 0) + 1


@dataclass(slots=True)
class JwtStats:
    """`http.<prefix>.jwt_authn.*`: what the filter of tokens decided."""

    allowed: int = field(default=0, metadata={"name": "jwt_authn.allowed"})
    denied: int = field(default=0, metadata={"name": "jwt_authn.denied"})


@dataclass(slots=True)
class ListenerStats:
    """`listener.<address>.*`."""

    downstream_cx_total: int = 0
    downstream_cx_active: int = field(default=0, metadata=_GAUGE)
    downstream_cx_destroy: int = 0
    downstream_cx_overflow: int = 0
    downstream_cx_length_ms: Histogram = field(default_factory=Histogram)
    downstream_pre_cx_active: int = field(default=0, metadata=_GAUGE)
    downstream_pre_cx_timeout: int = 0
    downstream_listener_filter_remote_close: int = 0
    no_filter_chain_match: int = 0
    client_hello_too_large: int = 0
    http2_refused: int = 0
    """The filter chain speaks HTTP, and this proxy does not speak that version yet."""
    tls_refused: int = 0
    """The filter chain asks for something of TLS that this proxy does not have, or not yet, as a certificate."""
    downstream_cx_transport_socket_connect_timeout: int = 0
    ssl: TlsStats | None = None
    """None until there is TLS."""


Cells: TypeAlias = ClusterStats | HttpStats | TcpStats | ListenerStats | MixerStats | AuthorizationStats | JwtStats


def export(scope: str, name: str, cells: Cells, into: Stats) -> None:
    """Add all cells of one object to a worker's answer, under (scope, name, metric)."""
    for cell in fields(cells):
        value = getattr(cells, cell.name)
        if value is None:
            continue
        if isinstance(value, TlsStats):
            _export_tls(scope, name, value, into)
        elif isinstance(value, Histogram):
            into.histograms[scope, name, cell.name] = value.export()
        elif isinstance(value, StatusCells):
            prefix = cell.metadata["prefix"]
            for label, count in value.by_class():
                into.counters[scope, name, prefix + label] = count
            if cell.metadata["codes"]:
                for code, count in value.by_code.items():
                    into.counters[scope, name, f"{prefix}{code}"] = count
        elif "counters" in cell.metadata:
            into.counters.update({(scope, name, metric): count for metric, count in value.items()})
        elif "gauge" in cell.metadata:
            into.gauges[scope, name, cell.name] = value
        else:
            into.counters[scope, name, cell.metadata.get("name", cell.name)] = value


def _export_tls(scope: str, name: str, stats: TlsStats, into: Stats) -> None:
    for cell in fields(stats):
        if cell.name != "parameters":
            into.counters[scope, name, f"ssl.{cell.name}"] = getattr(stats, cell.name)
    for parameter, count in stats.parameters.items():
        into.counters[scope, name, f"ssl.{parameter}"] = count
