"""prometheus: metrics for a Prometheus server to collect."""

from mizzen.mixer.adapters.prometheus.adapter import ADAPTER

__all__ = ["ADAPTER"]
