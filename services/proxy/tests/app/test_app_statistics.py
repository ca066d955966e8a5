"""Counters of several workers, and the formats in which they are shown."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from mizzen.proxy.app import cluster_page, stats_page
from mizzen.proxy.app.prometheus import exposition
from mizzen.proxy.app.statistics import merge
from mizzen.proxy.app.stats_page import Selection
from mizzen.proxy.engine.control import EndpointStats, Stats
from mizzen.proxy.engine.plan import ClusterPlan
from mizzen.proxy.engine.stats import BUCKETS, ClusterStats, Histogram, HttpStats, export

CLUSTER = "outbound|9080||reviews.default.svc.cluster.local"
ALL = Selection()


def row(address: str = "127.1.0.3:9080", **changes: Any) -> EndpointStats:
    fields: dict[str, Any] = {
        "cluster": CLUSTER,
        "address": address,
        "healthy": True,
        "weight": 1,
        "active_connections": 1,
        "active_requests": 0,
        "total_connections": 2,
        "connect_failures": 0,
        "total_requests": 5,
        "failed_requests": 1,
    }
    return EndpointStats(**(fields | changes))


def worker(requests: int) -> Stats:
    """What one worker says that served so many requests, 7 ms each."""
    stats = Stats(1, endpoints=(row(total_requests=requests),))
    cluster = ClusterStats(upstream_rq_total=requests, membership_total=1, upstream_cx_active=1)
    for _ in range(requests):
        cluster.statuses.record(200)
        cluster.upstream_rq_time.record(7.0)
    cluster.statuses.record(503)
    export("cluster", CLUSTER, cluster, stats)
    http = HttpStats(downstream_rq_total=requests)
    http.statuses.record(200)
    export("http", "inbound_0.0.0.0_9080;", http, stats)
    return stats


def test_workers_add_up() -> None:
    total = merge([worker(2), worker(3)])
    assert total.counters["cluster", CLUSTER, "upstream_rq_total"] == 5
    assert total.counters["cluster", CLUSTER, "upstream_rq_2xx"] == 5
    assert total.gauges["cluster", CLUSTER, "upstream_cx_active"] == 2
    assert total.gauges["cluster", CLUSTER, "membership_total"] == 1
    assert total.histograms["cluster", CLUSTER, "upstream_rq_time"][-1] == 35.0
    assert total.endpoints == (row(total_requests=5, active_connections=2, total_connections=4, failed_requests=2),)


def test_adding_changes_no_part() -> None:
    part = worker(2)
    merge([part, worker(3)])
    assert part == worker(2)


def test_text() -> None:
    lines = stats_page.as_text(worker(2), ALL).splitlines()
    assert f"cluster.{CLUSTER}.upstream_rq_total: 2" in lines
    assert f"cluster.{CLUSTER}.upstream_cx_connect_ms: No recorded values" in lines
    (time,) = [line for line in lines if "upstream_rq_time:" in line]
    assert time.startswith(f"cluster.{CLUSTER}.upstream_rq_time: P0(nan,5)")


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"filter": "upstream_rq_(total|503)$"}, {"upstream_rq_total", "upstream_rq_503"}),
        ({"filter": "rq_total$", "type": "gauges"}, set()),
        ({"type": "Gauges", "usedonly": "", "filter": "^cluster"}, {"membership_total", "upstream_cx_active"}),
        ({"filter": "^cluster.*rq_time", "usedonly": ""}, {"upstream_rq_time"}),
    ],
)
def test_selection(query: dict[str, str], expected: set[str]) -> None:
    lines = stats_page.as_text(worker(2), Selection.of(query)).splitlines()
    assert {line.split(":")[0].rpartition(".")[2] for line in lines} == expected


@pytest.mark.parametrize(
    ("query", "message"), [({"filter": "("}, "Invalid re2 regex: missing \\)"), ({"type": "x"}, "invalid type")]
)
def test_wrong_selections(query: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Selection.of(query)


def test_json() -> None:
    rows = stats_page.as_json(worker(2), Selection.of({"usedonly": ""}))["stats"]
    assert {"name": f"cluster.{CLUSTER}.upstream_rq_total", "value": 2} in rows
    histograms = rows[-1]["histograms"]
    (time,) = histograms["computed_quantiles"]
    assert time["name"] == f"cluster.{CLUSTER}.upstream_rq_time"
    assert len(time["values"]) == len(histograms["supported_quantiles"])


@pytest.mark.parametrize(
    ("values", "percent", "expected"),
    [([], 50, 0.0), ([7.0], 0, 5.0), ([7.0], 100, 10.0), ([7.0, 7.0, 30.0, 30.0], 75, 37.5), ([1e9], 100, BUCKETS[-1])],
)
def test_quantiles_lie_within_their_bucket(values: list[float], percent: float, expected: float) -> None:
    histogram = Histogram()
    for value in values:
        histogram.record(value)
    assert stats_page.quantile(histogram.export(), percent) == expected


def test_prometheus_gets_envoys_names() -> None:
    text = exposition(worker(2), ALL)
    lines = text.splitlines()

    def value(name: str, **labels: str) -> float:
        head = name + "{" + ",".join(f'{label}="{text}"' for label, text in labels.items()) + "} "
        (line,) = [line for line in lines if line.startswith(head)]
        return float(line.removeprefix(head))

    cluster = {"envoy_cluster_name": CLUSTER}
    assert value("envoy_cluster_upstream_rq_total", **cluster) == 2
    assert value("envoy_cluster_upstream_rq_xx", envoy_response_code_class="2", **cluster) == 2
    assert value("envoy_cluster_upstream_rq", envoy_response_code="503", **cluster) == 1
    http = {"envoy_http_conn_manager_prefix": "inbound_0.0.0.0_9080"}
    assert value("envoy_http_downstream_rq_xx", envoy_response_code_class="2", **http) == 1
    assert value("envoy_cluster_upstream_rq_time_bucket", **cluster, le="5") == 0
    assert value("envoy_cluster_upstream_rq_time_bucket", **cluster, le="10") == 2
    assert value("envoy_cluster_upstream_rq_time_bucket", **cluster, le="3600000") == 2
    assert value("envoy_cluster_upstream_rq_time_count", **cluster) == 2
    assert value("envoy_cluster_upstream_rq_time_sum", **cluster) == 14
    assert "# TYPE envoy_cluster_upstream_cx_active gauge" in lines
    assert list(text_string_to_metric_families(text))


def test_label_values_are_escaped() -> None:
    text = exposition(Stats(1, {("cluster", 'a"\\\nb', "upstream_rq_total"): 1}), ALL)
    (family,) = text_string_to_metric_families(text)
    assert family.samples[0].labels == {"envoy_cluster_name": 'a"\\\nb'}


def test_clusters_page() -> None:
    plans = [ClusterPlan(CLUSTER, "eds", endpoint_set=CLUSTER), ClusterPlan("BlackHoleCluster", "static")]
    stats = Stats(1, endpoints=(row(), row("[::1]:9080", healthy=False)))
    lines = cluster_page.clusters_text(plans, stats).splitlines()
    assert lines[0] == "BlackHoleCluster::observability_name::BlackHoleCluster"
    assert f"{CLUSTER}::eds_service_name::{CLUSTER}" in lines
    assert f"{CLUSTER}::127.1.0.3:9080::rq_total::5" in lines
    assert f"{CLUSTER}::[::1]:9080::health_flags::/failed_eds_health" in lines
    black_hole, reviews = cluster_page.clusters_json(plans, stats)["cluster_statuses"]
    assert black_hole["host_statuses"] == []
    good, bad = reviews["host_statuses"]
    assert good["address"] == {"socket_address": {"address": "127.1.0.3", "port_value": 9080}}
    assert {"name": "rq_total", "value": "5"} in good["stats"]
    assert (good["health_status"], bad["health_status"]) == (
        {"eds_health_status": "HEALTHY"},
        {"eds_health_status": "UNHEALTHY"},
    )
    assert bad["address"]["socket_address"]["address"] == "::1"


def test_names_without_a_middle(app: SimpleNamespace) -> None:
    assert stats_page.stat_name(("server", "", "live")) == "server.live"
    assert (
        stats_page.stat_name(("listener", "[::1]_80", "downstream_cx_total")) == "listener.[__1]_80.downstream_cx_total"
    )
