"""A handler as a place to send instances of one template to, with the numbers of what was sent."""

from __future__ import annotations

import logging
from bisect import bisect_left
from dataclasses import dataclass, field

from mizzen.mixer.adapter import Handler
from mizzen.mixer.runtime.budget import Budget

log = logging.getLogger(__name__)

SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds of the histogram of durations."""


@dataclass(slots=True)
class Tally:
    """Calls of one kind and how long they took; plain numbers, which the collector reads when asked."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(SECONDS) + 1))
    total: float = 0.0

    def add(self, seconds: float) -> None:
        """One call."""
        self.counts[bisect_left(SECONDS, seconds)] += 1
        self.total += seconds

    @property
    def calls(self) -> int:
        """All of them."""
        return sum(self.counts)


@dataclass(slots=True, eq=False)
class Destination:
    """One handler and one template."""

    handler: Handler
    name: str
    title: str
    """What callers see of the name."""
    adapter: str
    template: str
    budget: Budget = field(default_factory=Budget)
    """Shared by all destinations of one handler."""
    good: Tally = field(default_factory=Tally)
    bad: Tally = field(default_factory=Tally)

    def succeeded(self, seconds: float) -> None:
        """The handler answered."""
        self.good.add(seconds)
        self.budget.succeeded()

    def failed(self, seconds: float, now: float, reason: str) -> None:
        """The handler raised, or took too long. Only the first error of a row is logged as such."""
        self.bad.add(seconds)
        first = self.budget.failures == 0
        self.budget.failed(now, reason)
        log.log(
            logging.ERROR if first else logging.DEBUG, "Handler %s failed (%s): %s", self.name, self.template, reason
        )
