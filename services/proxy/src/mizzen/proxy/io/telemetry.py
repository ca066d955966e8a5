"""Istio's standard metrics: the hot path appends a sample, and every so many samples are folded together."""

from __future__ import annotations

import json
from bisect import bisect_right
from typing import Final, TypeAlias

from mizzen.proxy.engine.control import Stats
from mizzen.proxy.engine.stats import BUCKETS

BATCH: Final = 256
"""Samples that are folded at once: enough to share the work, few enough that no request waits for it (0.2 ms)."""
MAX_KEYS: Final = 2_000
"""Kinds of requests that are told apart; from there on not by their clients."""
SCOPE: Final = "istio"

Sample: TypeAlias = tuple[str, str, int, str, str, bytes, str, float, int, int]
"""Direction, cluster, status, flags, endpoint's workload, x-istio-attributes, the client's proved identity,
milliseconds, bytes received and sent."""
Key: TypeAlias = tuple[str, str, int, str, str, bytes, str]
"""The first seven of a sample. The status of a byte stream is -1."""

_HISTOGRAMS: Final = ("request_duration_milliseconds", "request_bytes", "response_bytes")


class Sums:
    """Requests of one key: how many, and the histograms of their durations and sizes."""

    __slots__ = ("buckets", "count", "totals")

    def __init__(self) -> None:
        self.count = 0
        self.buckets = [[0] * (len(BUCKETS) + 1) for _ in _HISTOGRAMS]
        self.totals = [0.0] * len(_HISTOGRAMS)

    def add(self, values: list[tuple[float, int, int]]) -> None:
        """Fold samples in, sorted by each measure: cheaper than to find the bucket of each."""
        self.count += len(values)
        for place, measures in enumerate(zip(*values, strict=True)):
            ordered = sorted(measures)
            self.totals[place] += sum(ordered)
            buckets = self.buckets[place]
            below = 0
            for number, end in enumerate(BUCKETS):
                reached = bisect_right(ordered, end, below)
                buckets[number] += reached - below
                below = reached
                if below == len(ordered):
                    break
            buckets[-1] += len(ordered) - below


class Telemetry:
    """What one worker has carried."""

    def __init__(self, max_keys: int = MAX_KEYS) -> None:
        self._max_keys = max_keys
        self.samples: list[Sample] = []
        """Finished requests that are not folded yet, fewer than BATCH."""
        self._requests: dict[Key, Sums] = {}
        self._streams: dict[tuple[Key, str], int] = {}

    def stream(self, key: Key, **amounts: int) -> None:
        """Count for a byte stream, by metric."""
        for metric, amount in amounts.items():
            self._streams[key, metric] = self._streams.get((key, metric), 0) + amount

    def export(self, into: Stats) -> None:
        """Everything since the start; names are keys as JSON, which the agent makes labels of."""
        self.fold()
        for key, sums in self._requests.items():
            name = key_name(key)
            into.counters[SCOPE, name, "requests_total"] = sums.count
            for metric, buckets, total in zip(_HISTOGRAMS, sums.buckets, sums.totals, strict=True):
                into.histograms[SCOPE, name, metric] = (*buckets, total)
        for (key, metric), amount in self._streams.items():
            into.counters[SCOPE, key_name(key), metric] = amount

    def fold(self) -> None:
        """Add the samples to the sums."""
        grouped: dict[Key, list[tuple[float, int, int]]] = {}
        for sample in self.samples:
            grouped.setdefault(sample[:7], []).append(sample[7:])
        self.samples.clear()
        for key, values in grouped.items():
            if key not in self._requests and len(self._requests) >= self._max_keys:
                key = (*key[:5], b"", key[6])  # noqa: PLW2901 - the same without the client
            self._requests.setdefault(key, Sums()).add(values)


def key_name(key: Key) -> str:
    """A key as text."""
    return json.dumps([*key[:5], key[5].decode("latin-1"), key[6]])


def read_key(name: str) -> Key:
    """The key from its text."""
    direction, cluster, status, flags, workload, forwarded, principal = json.loads(name)
    return direction, cluster, status, flags, workload, forwarded.encode("latin-1"), principal
