import pytest

from mizzen.proxy.engine.control import Stats
from mizzen.proxy.engine.stats import BUCKETS, ClusterStats, Histogram, HttpStats, ListenerStats, TcpStats, export


@pytest.mark.parametrize(("value", "bucket"), [(0, 0), (0.5, 0), (0.6, 1), (1, 1), (3_600_000, 18), (3_600_001, 19)])
def test_histogram_bucket_ends_are_inclusive(value: float, bucket: int) -> None:
    histogram = Histogram()
    histogram.record(value)
    exported = histogram.export()
    assert exported.index(1) == bucket
    assert len(exported) == len(BUCKETS) + 2
    assert exported[-1] == value


def test_export_sorts_cells_by_what_they_are() -> None:
    stats = ClusterStats()
    stats.upstream_rq_total += 2
    stats.upstream_rq_active += 1
    for status in (200, 200, 204, 503):
        stats.statuses.record(status)
    stats.upstream_rq_time.record(7)
    into = Stats(1)
    export("cluster", "c", stats, into)
    assert into.counters["cluster", "c", "upstream_rq_total"] == 2
    assert into.gauges["cluster", "c", "upstream_rq_active"] == 1
    assert into.counters["cluster", "c", "upstream_rq_2xx"] == 3
    assert into.counters["cluster", "c", "upstream_rq_503"] == 1
    assert into.counters["cluster", "c", "upstream_rq_4xx"] == 0
    assert into.histograms["cluster", "c", "upstream_rq_time"][-1] == 7
    assert ("cluster", "c", "statuses") not in into.counters


def test_connection_managers_count_classes_only() -> None:
    stats = HttpStats()
    stats.statuses.record(404)
    into = Stats(1)
    export("http", "ingress", stats, into)
    assert into.counters["http", "ingress", "downstream_rq_4xx"] == 1
    assert ("http", "ingress", "downstream_rq_404") not in into.counters


@pytest.mark.parametrize("cells", [ClusterStats(), HttpStats(), TcpStats(), ListenerStats()])
def test_active_cells_are_gauges(cells: ClusterStats | HttpStats | TcpStats | ListenerStats) -> None:
    into = Stats(1)
    export("s", "n", cells, into)
    assert {metric for _, _, metric in into.counters if metric.endswith("_active")} == set()
    assert all(metric.endswith("_active") or metric.startswith("membership_") for _, _, metric in into.gauges)
