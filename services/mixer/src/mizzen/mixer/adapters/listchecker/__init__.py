"""listchecker: is a value on a list, which may be written inline, fetched from a URL, or both."""

from mizzen.mixer.adapters.listchecker.adapter import ADAPTER

__all__ = ["ADAPTER"]
