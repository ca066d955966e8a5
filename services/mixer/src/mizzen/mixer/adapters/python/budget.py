"""What a user's code may cost: time for a call, and errors in a row before it gets a rest. No clock of its own."""

from __future__ import annotations

from mizzen.mixer.adapter import AdapterError


class ErrorBudget:
    """After `most` errors in a row nothing is called for `rest` seconds; then one call decides how it goes on."""

    def __init__(self, most: int, rest: float) -> None:
        self._most = most
        self._rest = rest
        self._errors = 0
        self._until = 0.0
        self._last = ""

    def check(self, now: float) -> None:
        """Raises AdapterError while it rests."""
        if self._errors >= self._most and now < self._until:
            raise AdapterError(f"resting for {self._until - now:.0f}s after {self._errors} errors; {self._last}")

    def succeeded(self) -> None:
        """A call went well."""
        self._errors = 0

    def failed(self, reason: str, now: float) -> None:
        """A call did not."""
        self._errors += 1
        self._last = reason
        if self._errors >= self._most:
            self._until = now + self._rest
