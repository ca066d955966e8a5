"""Quotas: which ones a request is charged, and tokens fetched ahead so that most requests need not wait for them.

Sans I/O: times are arguments, in seconds of any one clock. Source of what is asked for, and when: istio/proxy,
src/istio/prefetch and src/istio/mixerclient/quota_cache.cc at 1.0.9. One thing differs: while Mixer has not answered,
Istio's proxy hands out what it has asked for, so that a burst gets all that comes before the first answer. Here such
requests wait for the answer, and no token is used that was not granted.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

import re2

from mizzen.attributes.bag import Bag
from mizzen.proxy.engine.match import regex
from mizzen.proxy.engine.mixer_plan import QuotaClause, QuotaRulePlan

WINDOW: Final = 1.0
"""What was used in the last so many seconds is expected for the next ones."""
SLOTS: Final = 20
MIN_PREFETCH: Final = 10
CLOSE_WAIT: Final = 0.5
"""Seconds between attempts to get more when Mixer gave less than was asked for."""
UNANSWERED_SECONDS: Final = 60.0
"""How long what was asked for counts as granted when Mixer does not answer."""
DEFAULT_SECONDS: Final = 60.0
"""How long tokens are good for when Mixer does not say."""


def charges(rules: Iterable[QuotaRulePlan], bag: Bag) -> dict[str, int]:
    """Quotas and amounts of all rules that apply to a request."""
    found: dict[str, int] = {}
    for rule in rules:
        if not rule.matches or any(all(_holds(clause, bag) for clause in match) for match in rule.matches):
            found.update(rule.charges)
    return found


def _holds(clause: QuotaClause, bag: Bag) -> bool:
    value = bag.get(clause.attribute)
    if not isinstance(value, str):
        return False
    match clause.kind:
        case "exact":
            return value == clause.value
        case "prefix":
            return value.startswith(clause.value)
        case "regex":
            return _pattern(clause.value).fullmatch(value.encode("utf-8", "surrogateescape")) is not None
    return True


@lru_cache(maxsize=1024)
def _pattern(text: str) -> re2._Regexp:
    return regex(text)


@dataclass(slots=True)
class _Grant:
    """Tokens and when they go bad."""

    left: int
    expires_at: float


class Usage:
    """How much was used in the last window."""

    __slots__ = ("_slots",)

    def __init__(self) -> None:
        self._slots: deque[list[float]] = deque()

    def add(self, amount: int, now: float) -> None:
        slot = now // (WINDOW / SLOTS)
        if self._slots and self._slots[-1][0] == slot:
            self._slots[-1][1] += amount
        else:
            self._slots.append([slot, amount])

    def total(self, now: float) -> int:
        first = now // (WINDOW / SLOTS) - SLOTS + 1
        while self._slots and self._slots[0][0] < first:
            self._slots.popleft()
        return int(sum(amount for _, amount in self._slots))


@dataclass(slots=True)
class Prefetch:
    """Tokens of one quota for requests that it counts together."""

    open: bool = True
    """Mixer gave all that was asked for last."""
    in_flight: bool = False
    """Mixer is asked for more."""
    waiting: list[Callable[[], None]] = field(default_factory=list)
    """Called, once each, when the answer is here."""
    last_asked: float = -CLOSE_WAIT
    used_at: float = 0.0
    _usage: Usage = field(default_factory=Usage)
    _grants: deque[_Grant] = field(default_factory=deque)

    def available(self, now: float) -> int:
        """Tokens that are still good."""
        self._grants = deque(grant for grant in self._grants if grant.left != 0 and grant.expires_at > now)
        return sum(grant.left for grant in self._grants)

    def count(self, amount: int, now: float) -> None:
        """Note that a request wants tokens; comes before everything else about it."""
        self._usage.add(amount, now)
        self.used_at = now

    def take(self, amount: int, now: float) -> bool:
        """Whether there are tokens for a request; it uses them up then."""
        available = self.available(now)
        if available < amount or available <= 0:
            return False
        for grant in self._grants:
            part = min(grant.left, amount)
            grant.left -= part
            amount -= part
        return True

    def wants(self, amount: int, now: float) -> int:
        """How many tokens to ask Mixer for before a request takes some; 0 for none. The answer goes to `granted`."""
        if self.in_flight or (not self.open and now - self.last_asked < CLOSE_WAIT):
            return 0
        desired = max(self._usage.total(now), MIN_PREFETCH)
        available = self.available(now)
        if available >= amount and available >= desired / 2:
            return 0
        self.in_flight = True
        self.last_asked = now
        return max(amount, desired)

    def granted(self, asked: int, amount: int, seconds: float, now: float) -> None:
        """Mixer's answer to a request for `asked` tokens."""
        self.in_flight = False
        self.open = amount >= asked
        self._grants.append(_Grant(amount, now + seconds))
        waiting, self.waiting = self.waiting, []
        for wake in waiting:
            wake()
