"""The parts of a traffic policy that a cluster carries: balancing, pools, ejection."""

from __future__ import annotations

from typing import Any

from envoy.config.cluster.v3 import cluster_pb2

from mizzen.api.destinationrule import (
    ConnectionPoolSettings,
    ConsistentHashLB,
    LoadBalancerSettings,
    OutlierDetection,
    RetryBudget,
    SimpleLB,
    WarmupConfiguration,
)
from mizzen.pilot.generate.protos import duration

_Cluster = cluster_pb2.Cluster
UNLIMITED = 2**32 - 1
RING_SIZE = 1024
MAGLEV_SIZE = 65537

_SIMPLE = {
    SimpleLB.ROUND_ROBIN: _Cluster.ROUND_ROBIN,
    SimpleLB.RANDOM: _Cluster.RANDOM,
}


def balance(cluster: Any, settings: LoadBalancerSettings | None, *, grpc: bool = False) -> None:
    """Choose the balancer: least request unless another is asked for."""
    if settings is not None and settings.consistent_hash is not None:
        _hash(cluster, settings.consistent_hash, grpc=grpc)
        return
    simple = settings.simple if settings is not None and settings.simple is not None else SimpleLB.UNSPECIFIED
    cluster.lb_policy = _Cluster.ROUND_ROBIN if grpc else _SIMPLE.get(simple, _Cluster.LEAST_REQUEST)
    if settings is None or grpc:
        return
    warmup = settings.warmup
    if warmup is None and settings.warmup_duration_secs is not None:
        warmup = WarmupConfiguration(duration=settings.warmup_duration_secs)
    if warmup is not None and cluster.lb_policy == _Cluster.LEAST_REQUEST:
        _slow_start(cluster.least_request_lb_config.slow_start_config, warmup)
    elif warmup is not None and cluster.lb_policy == _Cluster.ROUND_ROBIN:
        _slow_start(cluster.round_robin_lb_config.slow_start_config, warmup)


def pool(cluster: Any, settings: ConnectionPoolSettings | None) -> None:
    """Limits on connections and requests, connect timeout, keep-alive probes."""
    if settings is None:
        return
    threshold = cluster.circuit_breakers.thresholds[0]
    tcp, http = settings.tcp, settings.http
    if tcp is not None:
        _limit(threshold.max_connections, tcp.max_connections)
        if tcp.connect_timeout is not None:
            cluster.connect_timeout.CopyFrom(duration(tcp.connect_timeout))
        if tcp.tcp_keepalive is not None:
            probes = cluster.upstream_connection_options.tcp_keepalive
            probes.SetInParent()
            if tcp.tcp_keepalive.probes is not None:
                probes.keepalive_probes.value = tcp.tcp_keepalive.probes
            if tcp.tcp_keepalive.time is not None:
                probes.keepalive_time.value = int(tcp.tcp_keepalive.time.total_seconds())
            if tcp.tcp_keepalive.interval is not None:
                probes.keepalive_interval.value = int(tcp.tcp_keepalive.interval.total_seconds())
    if http is not None:
        _limit(threshold.max_pending_requests, http.http1_max_pending_requests)
        _limit(threshold.max_requests, http.http2_max_requests)
        _limit(threshold.max_retries, http.max_retries)


def retry_budget(cluster: Any, budget: RetryBudget | None) -> None:
    """Retries as a share of the active requests; replaces the fixed limit."""
    if budget is None:
        return
    threshold = cluster.circuit_breakers.thresholds[0]
    threshold.ClearField("max_retries")
    threshold.retry_budget.budget_percent.value = 20.0 if budget.percent is None else budget.percent
    least = budget.min_retry_concurrency
    threshold.retry_budget.min_retry_concurrency.value = 3 if least is None else least


def outlier(cluster: Any, settings: OutlierDetection | None) -> None:
    """Ejection of endpoints that fail."""
    if settings is None:
        return
    message = cluster.outlier_detection
    message.SetInParent()
    message.enforcing_success_rate.value = 0
    errors = settings.consecutive_5xx_errors
    if errors is None:
        errors = settings.consecutive_errors
    if errors is not None:
        message.consecutive_5xx.value = errors
        message.enforcing_consecutive_5xx.value = 100 if errors else 0
    gateway = settings.consecutive_gateway_errors
    if gateway is not None:
        message.consecutive_gateway_failure.value = gateway
        message.enforcing_consecutive_gateway_failure.value = 100 if gateway else 0
    if settings.split_external_local_origin_errors:
        message.split_external_local_origin_errors = True
        local = settings.consecutive_local_origin_failures
        if local is not None:
            message.consecutive_local_origin_failure.value = local
            message.enforcing_consecutive_local_origin_failure.value = 100 if local else 0
        message.enforcing_local_origin_success_rate.value = 0
    if settings.interval is not None:
        message.interval.CopyFrom(duration(settings.interval))
    if settings.base_ejection_time is not None:
        message.base_ejection_time.CopyFrom(duration(settings.base_ejection_time))
    if settings.max_ejection_percent is not None:
        message.max_ejection_percent.value = settings.max_ejection_percent
    cluster.common_lb_config.healthy_panic_threshold.value = float(settings.min_health_percent or 0)


def _limit(field: Any, value: int | None) -> None:
    if value:
        field.value = value


def _hash(cluster: Any, hashing: ConsistentHashLB, *, grpc: bool) -> None:
    if hashing.maglev is not None and not grpc:
        cluster.lb_policy = _Cluster.MAGLEV
        cluster.maglev_lb_config.table_size.value = hashing.maglev.table_size or MAGLEV_SIZE
        return
    cluster.lb_policy = _Cluster.RING_HASH
    stated = hashing.ring_hash.minimum_ring_size if hashing.ring_hash is not None else hashing.minimum_ring_size
    cluster.ring_hash_lb_config.minimum_ring_size.value = stated or RING_SIZE


def _slow_start(message: Any, warmup: WarmupConfiguration) -> None:
    message.slow_start_window.CopyFrom(duration(warmup.duration))
    message.aggression.default_value = 1.0 if warmup.aggression is None else warmup.aggression
    message.aggression.runtime_key = "slow_start.aggression"
    message.min_weight_percent.value = 10.0 if warmup.minimum_percent is None else warmup.minimum_percent
