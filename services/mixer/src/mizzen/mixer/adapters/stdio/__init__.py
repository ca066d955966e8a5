"""stdio: log entries and metrics as lines on standard output or error, or in a file that may rotate."""

from mizzen.mixer.adapters.stdio.adapter import ADAPTER

__all__ = ["ADAPTER"]
