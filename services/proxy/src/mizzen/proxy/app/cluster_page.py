"""`/clusters` as text and as JSON."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from mizzen.proxy.engine.control import EndpointStats, Stats
from mizzen.proxy.engine.plan import ClusterPlan, Plan
from mizzen.runtime.address import Address

_COUNTERS = {
    "cx_connect_fail": "connect_failures",
    "cx_total": "total_connections",
    "rq_error": "failed_requests",
    "rq_total": "total_requests",
}
_GAUGES = {"cx_active": "active_connections", "rq_active": "active_requests"}


def clusters_text(plans: Iterable[Plan], stats: Stats) -> str:
    """`<cluster>::<endpoint>::<field>::<value>` lines."""
    rows = _rows_by_cluster(stats)
    lines = []
    for plan in _clusters(plans):
        name = plan.name
        lines += [f"{name}::observability_name::{name}", f"{name}::added_via_api::true"]
        if plan.discovery == "eds":
            lines.append(f"{name}::eds_service_name::{plan.endpoint_set}")
        for row in rows[name]:
            fields = sorted({**_COUNTERS, **_GAUGES}.items())
            lines += [f"{name}::{row.address}::{field}::{getattr(row, source)}" for field, source in fields]
            health = "healthy" if row.healthy else "/failed_eds_health"
            lines += [f"{name}::{row.address}::health_flags::{health}", f"{name}::{row.address}::weight::{row.weight}"]
    return "".join(f"{line}\n" for line in lines)


def clusters_json(plans: Iterable[Plan], stats: Stats) -> dict[str, Any]:
    """envoy.admin.v3.Clusters."""
    rows = _rows_by_cluster(stats)
    statuses = []
    for plan in _clusters(plans):
        status: dict[str, Any] = {"name": plan.name, "added_via_api": True, "observability_name": plan.name}
        if plan.discovery == "eds":
            status["eds_service_name"] = plan.endpoint_set
        status["host_statuses"] = [_host(row) for row in rows[plan.name]]
        statuses.append(status)
    return {"cluster_statuses": statuses}


def _clusters(plans: Iterable[Plan]) -> list[ClusterPlan]:
    return sorted((plan for plan in plans if isinstance(plan, ClusterPlan)), key=lambda plan: plan.name)


def _rows_by_cluster(stats: Stats) -> dict[str, list[EndpointStats]]:
    rows: dict[str, list[EndpointStats]] = defaultdict(list)
    for row in stats.endpoints:
        rows[row.cluster].append(row)
    return rows


def _host(row: EndpointStats) -> dict[str, Any]:
    address = Address.parse(row.address)
    stats = [
        *({"name": name, "value": str(getattr(row, source))} for name, source in _COUNTERS.items()),
        *({"type": "GAUGE", "name": name, "value": str(getattr(row, source))} for name, source in _GAUGES.items()),
    ]
    health = {"eds_health_status": "HEALTHY"} if row.healthy else {"eds_health_status": "UNHEALTHY"}
    return {
        "address": {"socket_address": {"address": address.host, "port_value": address.port}},
        "stats": stats,
        "health_status": health,
        "weight": row.weight,
    }
