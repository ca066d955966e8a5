"""statsd: metrics to a statsd daemon, over UDP."""

from mizzen.mixer.adapters.statsd.adapter import ADAPTER

__all__ = ["ADAPTER"]
