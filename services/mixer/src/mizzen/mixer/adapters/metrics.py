"""What the adapters count. Mixer's /metrics shows this registry beside the runtime's own numbers."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

REGISTRY = CollectorRegistry()

CALLS = Counter(
    "mixer_adapter_backend_calls",
    "Calls of handlers to their back ends; outcome is ok, error or timeout.",
    ["handler", "outcome"],
    registry=REGISTRY,
)
CALL_SECONDS = Histogram(
    "mixer_adapter_backend_call_seconds",
    "How long a back end took to answer.",
    ["handler"],
    buckets=(0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 60),
    registry=REGISTRY,
)
QUEUED = Gauge("mixer_adapter_queue_length", "Items that wait to be sent.", ["handler"], registry=REGISTRY)
SENT = Counter("mixer_adapter_sent", "Items that reached the back end.", ["handler"], registry=REGISTRY)
DROPPED = Counter(
    "mixer_adapter_dropped",
    "Items that were lost; reason is full (of the queue), failed (to send), large or closing.",
    ["handler", "reason"],
    registry=REGISTRY,
)
ENTRIES = Gauge("mixer_adapter_list_entries", "Length of a list; 0 without one.", ["handler"], registry=REGISTRY)
GRANTED = Counter("mixer_adapter_quota_granted", "Units of quota given out.", ["handler"], registry=REGISTRY)
REFUSED = Counter("mixer_adapter_quota_refused", "Units of quota asked for in vain.", ["handler"], registry=REGISTRY)
CELLS = Gauge("mixer_adapter_quota_cells", "Counters of quotas in memory.", ["handler"], registry=REGISTRY)
SERIES = Gauge("mixer_adapter_series", "Series of metrics at the last look.", ["handler"], registry=REGISTRY)
EXPIRED = Counter("mixer_adapter_series_expired", "Series that nothing came for.", ["handler"], registry=REGISTRY)
RELOADS = Counter(
    "mixer_adapter_reloads",
    "A Python adapter's file was loaded again; after an error the one before goes on.",
    ["handler", "outcome"],
    registry=REGISTRY,
)
EVICTED = Counter("mixer_adapter_quota_cells_evicted", "Counters given up for room.", ["handler"], registry=REGISTRY)


@contextmanager
def backend_call(handler: str) -> Iterator[None]:
    """Time a call and count how it ended; errors pass through."""
    with CALL_SECONDS.labels(handler).time():
        try:
            yield
        except TimeoutError:
            CALLS.labels(handler, "timeout").inc()
            raise
        except asyncio.CancelledError:
            raise
        except Exception:
            CALLS.labels(handler, "error").inc()
            raise
    CALLS.labels(handler, "ok").inc()


class QuotaCounts:
    """What one handler gave out and refused."""

    def __init__(self, handler: str) -> None:
        self._granted = GRANTED.labels(handler)
        self._refused = REFUSED.labels(handler)

    def note(self, asked: int, granted: int) -> None:
        """One answer."""
        self._granted.inc(granted)
        self._refused.inc(max(asked - granted, 0))
