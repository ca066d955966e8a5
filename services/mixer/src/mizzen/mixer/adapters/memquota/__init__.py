"""memquota: quotas counted in this process; exact, and gone when it ends."""

from mizzen.mixer.adapters.memquota.adapter import ADAPTER

__all__ = ["ADAPTER"]
