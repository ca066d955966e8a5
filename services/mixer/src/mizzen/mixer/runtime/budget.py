"""How many errors in a row a handler may make before it is left alone for a while."""

from __future__ import annotations

FAILURES = 20
PAUSE_SECONDS = 1.0


class Budget:
    """After FAILURES errors in a row, calls are refused for PAUSE_SECONDS; then one error is enough for another pause.

    So a back end that is gone costs requests its time-out now and then, not each. Times are of one monotonic clock.
    """

    __slots__ = ("_failures", "_last", "_until")

    def __init__(self) -> None:
        self._failures = 0
        self._until = 0.0
        self._last = ""

    @property
    def failures(self) -> int:
        """Errors since the last success."""
        return self._failures

    def refusal(self, now: float) -> str:
        """Why the handler is not called at all; empty where it is."""
        if now >= self._until:
            return ""
        return f"not called after {self._failures} errors in a row, the last: {self._last}"

    def succeeded(self) -> None:
        """A call went well."""
        self._failures = 0

    def failed(self, now: float, reason: str) -> None:
        """A call did not."""
        self._failures += 1
        self._last = reason
        if self._failures >= FAILURES:
            self._until = now + PAUSE_SECONDS
