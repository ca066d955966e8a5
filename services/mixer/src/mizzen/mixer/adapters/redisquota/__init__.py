"""redisquota: quotas counted in Redis, shared by every Mixer that uses it."""

from mizzen.mixer.adapters.redisquota.adapter import ADAPTER

__all__ = ["ADAPTER"]
