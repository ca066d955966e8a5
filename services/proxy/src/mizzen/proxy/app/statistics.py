"""Counters of several workers as one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import reduce

from mizzen.proxy.engine.control import EndpointStats, StatKey, Stats

_SAME_EVERYWHERE = ("membership_healthy", "membership_total")
"""Gauges that tell of the configuration, which all workers share."""
_SUMMED = (
    "active_connections",
    "active_requests",
    "total_connections",
    "connect_failures",
    "total_requests",
    "failed_requests",
)


def merge(parts: Iterable[Stats]) -> Stats:
    """The sum of all."""
    return reduce(add, parts, Stats(0))


def add(one: Stats, other: Stats) -> Stats:
    """The sum of two; neither is changed."""
    counters = dict(one.counters)
    for key, value in other.counters.items():
        counters[key] = counters.get(key, 0) + value
    histograms = dict(one.histograms)
    for key, values in other.histograms.items():
        known = histograms.get(key)
        histograms[key] = tuple(map(float.__add__, map(float, known), map(float, values))) if known else values
    return Stats(other.serial, counters, _gauges(one, other), histograms, _endpoints(one, other))


def _gauges(one: Stats, other: Stats) -> dict[StatKey, int]:
    gauges = dict(one.gauges)
    for key, value in other.gauges.items():
        known = gauges.get(key, 0)
        gauges[key] = max(known, value) if key[2] in _SAME_EVERYWHERE else known + value
    return gauges


def _endpoints(one: Stats, other: Stats) -> tuple[EndpointStats, ...]:
    rows = {(row.cluster, row.address): row for row in one.endpoints}
    for row in other.endpoints:
        known = rows.get((row.cluster, row.address))
        sums = {field: getattr(row, field) + getattr(known, field) for field in _SUMMED} if known else {}
        rows[row.cluster, row.address] = replace(row, **sums)
    return tuple(rows.values())
