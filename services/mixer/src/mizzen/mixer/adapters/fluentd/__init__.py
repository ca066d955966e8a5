"""fluentd: log entries to a fluentd or Fluent Bit daemon, in the forward protocol."""

from mizzen.mixer.adapters.fluentd.adapter import ADAPTER

__all__ = ["ADAPTER"]
