"""When a server has too much to do, it says so at once instead of letting everybody wait.

The evaluators are those of Istio 1.1 (mixer/pkg/loadshedding): average latency, and a rate of requests. Beside them
there is always a bound on what is under way. No clock in here: `now` is in seconds of any steady clock.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum


class Mode(StrEnum):
    """What to do when a limit is exceeded."""

    DISABLED = "disabled"
    LOG_ONLY = "logonly"
    ENFORCE = "enforce"


@dataclass(frozen=True, slots=True)
class Limits:
    """Zero turns a limit off."""

    mode: Mode = Mode.DISABLED
    average_latency: float = 0.0
    """Seconds."""
    latency_samples_per_second: float = math.inf
    latency_half_life: float = 1.0
    """Seconds after which a sample counts half."""
    requests_per_second: float = 0.0
    """A report counts as many requests as it has entries."""
    burst: int = 0
    """Requests that may come at once. A larger report never passes."""


class Allowance:
    """A token bucket: `rate` a second, `burst` at most, full at first."""

    __slots__ = ("_burst", "_rate", "_since", "_tokens")

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self._rate = rate
        self._burst = burst
        self._tokens = burst
        self._since = now

    def take(self, amount: float, now: float) -> bool:
        """Whether the amount was there; if so it is taken."""
        if math.isinf(self._rate):
            return True
        self._tokens = min(self._burst, self._tokens + max(0.0, now - self._since) * self._rate)
        self._since = now
        if amount > self._tokens:
            return False
        self._tokens -= amount
        return True


class MovingAverage:
    """Of samples at irregular times; between two samples the input counts as being what the earlier one said."""

    __slots__ = ("_decay", "_deviation", "_sample", "_since")

    def __init__(self, half_life: float, now: float) -> None:
        self._decay = -math.log(2) / half_life
        self._since = now
        self._sample = 0.0
        self._deviation = 0.0

    def add(self, sample: float, now: float) -> None:
        """Take a sample."""
        self._deviation = self.value(now) - sample
        self._sample = sample
        self._since = now

    def value(self, now: float) -> float:
        """The average at this time."""
        return math.exp(self._decay * max(0.0, now - self._since)) * self._deviation + self._sample


class LoadShedder:
    """Finds out whether a limit is exceeded."""

    def __init__(self, limits: Limits, now: float) -> None:
        self.limits = limits
        self._latency = MovingAverage(limits.latency_half_life, now)
        self._sampling = Allowance(limits.latency_samples_per_second, 1, now)
        self._requests = Allowance(limits.requests_per_second, limits.burst, now)

    def exceeded(self, cost: int, now: float) -> str:
        """Which limit is exceeded with a request of this cost; empty where none is."""
        limits = self.limits
        if limits.mode is Mode.DISABLED:
            return ""
        if limits.average_latency > 0 and (average := self._latency.value(now)) >= limits.average_latency:
            return f"the average latency is {average:.3f} s, the limit {limits.average_latency:.3f} s"
        if limits.requests_per_second > 0 and not self._requests.take(cost, now):
            return f"more than {limits.requests_per_second:g} requests per second (at most {limits.burst} at once)"
        return ""

    def observe(self, seconds: float, now: float) -> None:
        """A request took this long. Refused ones count too: only they bring the average down again."""
        if self.limits.mode is not Mode.DISABLED and self._sampling.take(1, now):
            self._latency.add(seconds, now)
