"""What the agent itself counts: `server.*`, `control_plane.*` and the managers' gauges."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final, get_args

from mizzen.identity.keeping.keeper import CertificateKeeper
from mizzen.proxy.app.istio_metrics import name_of
from mizzen.proxy.app.state import AgentState, ServerState
from mizzen.proxy.app.statistics import add
from mizzen.proxy.engine.control import StatKey, Stats
from mizzen.proxy.engine.tls_plan import SecretPlan
from mizzen.proxy.snapshot.secrets import first_end

_DAY: Final = 86_400
_NEVER: Final = 2**32 - 1
"""What Envoy says where there is no certificate."""


def server_stats(state: AgentState, now: float) -> Stats:
    """As of the Unix time `now`."""
    kinds = state.session.store.kinds
    pids = (os.getpid(), *state.workers.pids)
    waiting = sum(held.state == "waiting" for kind in kinds.values() for held in kind.values())
    gauges: dict[StatKey, int] = {
        ("server", "", "live"): int(state.name == "LIVE"),
        ("server", "", "state"): get_args(ServerState).index(state.name),
        ("server", "", "uptime"): int(now - state.started),
        ("server", "", "concurrency"): state.settings.concurrency,
        ("server", "", "memory_physical_size"): sum(map(_resident_bytes, pids)),
        ("server", "", "days_until_first_cert_expiring"): _days_left(state.deliverer.secrets.values(), now),
        ("control_plane", "", "connected_state"): int(state.client.connected),
        ("cluster_manager", "", "active_clusters"): len(kinds["cluster"]),
        ("cluster_manager", "", "waiting_resources"): waiting,
        ("listener_manager", "", "total_listeners_active"): len(state.deliverer.listeners),
        ("listener_manager", "", "workers_started"): int(len(state.workers.pids) == state.settings.concurrency),
    }
    counters: dict[StatKey, int] = {("server", "", "worker_restarts"): state.workers.restarts}
    certified = identity_stats(state.identity.keeper, now) if state.identity is not None else Stats(0)
    return add(Stats(0, counters | state.mixer.stats.counters(), gauges), certified)


def identity_stats(keeper: CertificateKeeper, now: float) -> Stats:
    """The life of the workload's certificate, under the names of Istio's agent; negative seconds when it is over."""
    ends = [("default", keeper.current.ends), ("ROOTCA", keeper.current.roots_end)] if keeper.current else []
    gauges: dict[StatKey, int] = {
        ("istio", name_of((("resource_name", name),)), "agent_cert_expiry_seconds"): int(end.timestamp() - now)
        for name, end in ends
    }
    csr = name_of((("request_type", "csr"),))
    counters: dict[StatKey, int] = {
        ("istio", csr, "agent_num_outgoing_requests"): keeper.stats.renewals + keeper.stats.failures,
        ("istio", csr, "agent_num_failed_outgoing_requests"): keeper.stats.failures,
    }
    return Stats(0, counters, gauges)


def _days_left(secrets: Iterable[SecretPlan], now: float) -> int:
    """Whole days until the first certificate in use ends; 0 when one has."""
    ends = [end for end in map(first_end, secrets) if end is not None]
    return max(0, int((min(ends) - now) // _DAY)) if ends else _NEVER


def _resident_bytes(pid: int) -> int:
    """0 when the process has just ended."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")
