"""How much of a limit is in use. Time comes in ticks of a tenth of a second, from the caller."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

TICKS_PER_SECOND = 10


@dataclass(slots=True)
class Cell:
    """A permanent allocation: what was taken stays taken until it is given back."""

    used: int = 0

    def take(self, amount: int, limit: int, *, best_effort: bool) -> int:
        """The units granted: all, or with best effort what is left."""
        granted = _granted(amount, limit - self.used, best_effort=best_effort)
        self.used += granted
        return granted

    def give_back(self, amount: int) -> int:
        """The units given back, at most those in use."""
        returned = min(amount, self.used)
        self.used -= returned
        return returned


@dataclass(slots=True)
class RollingWindow:
    """What was taken within the last `ticks`; a unit comes back when it is that old.

    Holds one entry for each tick in which something was taken, so a rare user costs little.
    """

    ticks: int
    used: int = 0
    _taken: deque[list[int]] = field(default_factory=deque)  # [tick, units], oldest first

    def take(self, amount: int, limit: int, now: int, *, best_effort: bool) -> int:
        """The units granted: all, or with best effort what is left."""
        self.roll(now)
        granted = _granted(amount, limit - self.used, best_effort=best_effort)
        if granted:
            if self._taken and self._taken[-1][0] >= now:
                self._taken[-1][1] += granted
            else:
                self._taken.append([now, granted])
            self.used += granted
        return granted

    def give_back(self, amount: int, now: int) -> int:
        """The units given back: the latest ones taken, at most those in use."""
        self.roll(now)
        returned = left = min(amount, self.used)
        while left:
            latest = self._taken[-1]
            part = min(left, latest[1])
            latest[1] -= part
            left -= part
            if not latest[1]:
                self._taken.pop()
        self.used -= returned
        return returned

    def roll(self, now: int) -> None:
        """Bring back what has become too old."""
        while self._taken and now - self._taken[0][0] >= self.ticks:
            self.used -= self._taken.popleft()[1]


def _granted(amount: int, available: int, *, best_effort: bool) -> int:
    if amount <= available:
        return amount
    return max(available, 0) if best_effort else 0
