"""What the agent counts of its calls, as `http_mixer_filter.*`; workers count the rest."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from mizzen.proxy.engine.control import StatKey


@dataclass(slots=True)
class CallStats:
    """Istio's names."""

    total_remote_check_calls: int = 0
    total_blocking_remote_check_calls: int = 0
    """Somebody waited for them."""
    total_remote_quota_calls: int = 0
    total_blocking_remote_quota_calls: int = 0
    total_remote_report_calls: int = 0
    total_remote_check_failures: int = 0
    total_remote_report_failures: int = 0
    reports_dropped: int = 0

    def counters(self) -> dict[StatKey, int]:
        """By the keys of `/stats`."""
        values = asdict(self)
        dropped = values.pop("reports_dropped")
        counters: dict[StatKey, int] = {("http_mixer_filter", "", name): value for name, value in values.items()}
        counters["mizzen_mixer", "", "reports_dropped_total"] = dropped
        return counters
