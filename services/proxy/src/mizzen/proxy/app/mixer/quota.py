"""Quotas: which ones a request is charged, and tokens fetched ahead so that most requests need not wait for them.

Sans I/O: times are arguments, in seconds of any one clock. Source: istio/proxy, src/istio/prefetch and
src/istio/mixerclient/quota_cache.cc at 1.0.9.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
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
PROVISIONAL_SECONDS: Final = 60.0
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
    in_flight: int = 0
    last_asked: float = -CLOSE_WAIT
    used_at: float = 0.0
    _usage: Usage = field(default_factory=Usage)
    _grants: deque[_Grant] = field(default_factory=deque)

    def available(self, now: float) -> int:
        """Tokens that are still good."""
        self._grants = deque(grant for grant in self._grants if grant.left != 0 and grant.expires_at > now)
        return sum(grant.left for grant in self._grants)

    def take(self, amount: int, now: float) -> bool:
        """Whether a request may go on; it uses up its tokens then."""
        self.used_at = now
        available = self.available(now)
        if available < amount or available <= 0:
            return False
        for grant in self._grants:
            part = min(grant.left, amount)
            if part > 0:
                grant.left -= part
                amount -= part
        return True

    def wants(self, amount: int, now: float) -> tuple[int, bool]:
        """How many tokens to ask Mixer for, before `take`, and whether they may be used before its answer.

        0 for none. The answer goes to `granted`.
        """
        self._usage.add(amount, now)
        desired = max(self._usage.total(now), MIN_PREFETCH)
        available = self.available(now)
        if available >= amount and (available >= desired / 2 or self.in_flight):
            return 0, False
        if not self.open and (self.in_flight or now - self.last_asked < CLOSE_WAIT):
            return 0, False
        asked = max(amount, desired)
        provisional = self.open and available == 0
        if provisional:
            self._grants.append(_Grant(asked, now + PROVISIONAL_SECONDS))
        self.in_flight += 1
        self.last_asked = now
        return asked, provisional

    def granted(self, asked: int, amount: int, seconds: float, now: float, *, provisional: bool) -> None:
        """Mixer's answer to a request for `asked` tokens; `provisional`: they have been given out before it."""
        self.in_flight -= 1
        self.open = amount >= asked
        if not provisional:
            self._grants.append(_Grant(amount, now + seconds))
        elif amount < asked:
            self._withdraw(asked - amount)

    def _withdraw(self, amount: int) -> None:
        """Take back what was given out too early, as far as it is still there."""
        for grant in self._grants:
            part = min(grant.left, amount)
            grant.left -= part
            amount -= part
