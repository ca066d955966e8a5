"""Delays between attempts."""

from __future__ import annotations


class Backoff:
    """Bounded exponential delays with full jitter above a floor of half the bound.

    Chance is an argument, so that a caller decides where it comes from: `backoff.next(random.random())`.
    """

    def __init__(self, base: float = 0.5, maximum: float = 30.0, factor: float = 2.0) -> None:
        self._base = base
        self._maximum = maximum
        self._factor = factor
        self._bound = base

    def next(self, point: float) -> float:
        """Seconds to wait before the next attempt; `point` in [0, 1) places it between half and all of the bound."""
        bound = min(self._bound, self._maximum)
        self._bound = min(bound * self._factor, self._maximum)
        return bound * (0.5 + point / 2)

    def reset(self) -> None:
        """The last attempt worked: begin again with the base."""
        self._bound = self._base
