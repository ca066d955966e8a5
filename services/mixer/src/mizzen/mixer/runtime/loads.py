"""How much one request is: the rules that matched it, and the instances built for it."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field

SIZES = (0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 10.0, 15.0, 20.0)
"""Upper bounds of the histograms."""


def _cells() -> list[int]:
    return [0] * (len(SIZES) + 1)


@dataclass(slots=True)
class Loads:
    """Plain numbers, which the collector reads when asked."""

    matched: list[int] = field(default_factory=_cells)
    instances: list[int] = field(default_factory=_cells)
    matched_total: int = 0
    instances_total: int = 0

    def add(self, matched: int, instances: int) -> None:
        """One request."""
        self.matched[bisect_left(SIZES, matched)] += 1
        self.instances[bisect_left(SIZES, instances)] += 1
        self.matched_total += matched
        self.instances_total += instances
