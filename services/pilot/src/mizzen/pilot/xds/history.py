"""What every client was sent and said to it, for people: `/debug/syncz` and `mizzen proxy-status`."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from mizzen.pilot.generate.typeurls import ORDER
from mizzen.pilot.xds.connections import Connection
from mizzen.pilot.xds.metrics import short_name
from mizzen.pilot.xds.subscription import Status, Subscription


def sync_status(connections: Iterable[Connection], now: float) -> list[dict[str, Any]]:
    """One object per client, sorted by name; `now` is the clock of the sessions."""
    return sorted((_client(connection, now) for connection in connections), key=lambda row: (row["proxy"], row["id"]))


def _client(connection: Connection, now: float) -> dict[str, Any]:
    proxy = connection.proxy
    watches = connection.session.watches
    return {
        "proxy": f"{proxy.name}.{proxy.namespace}",
        "id": connection.id,
        "node_id": proxy.id,
        "proxy_type": proxy.type,
        "cluster_id": proxy.cluster_id or "Kubernetes",
        "version": connection.version,
        "address": connection.address,
        "connected_since": datetime.fromtimestamp(connection.since, UTC).isoformat(timespec="seconds"),
        "protocol": "delta" if connection.session.delta else "sotw",
        "types": {short_name(type_url): _type(watches.get(type_url), now) for type_url in ORDER},
        "unsupported": [
            {"field": item.field, "origin": item.origin, "count": item.count} for item in connection.unsupported
        ],
    }


def _type(watch: Subscription | None, now: float) -> dict[str, Any]:
    if watch is None:
        return {"status": Status.IGNORED.value}
    return {
        "status": watch.status.value,
        "resources": len(watch.sent),
        "version_sent": watch.version_sent,
        "version_acked": watch.version_acked,
        "nonce_sent": watch.nonce_sent,
        "nonce_acked": watch.nonce_acked,
        "error": watch.error,
        "failures": dict(sorted(watch.failures.items())),
        "seconds_since_sent": _age(watch.sent_at, now),
        "seconds_since_acked": _age(watch.acked_at, now),
        "seconds_since_rejected": _age(watch.rejected_at, now),
    }


def _age(moment: float, now: float) -> float | None:
    return round(now - moment, 3) if moment else None
