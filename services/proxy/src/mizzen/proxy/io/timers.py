"""Deadlines of connections, kept so that a request costs none of them.

Every connection asks to be looked at no later than some time. When that time comes it acts on what is due and says
when to look again; a request that begins only touches the wheel when its deadline comes before the next look, which on
a busy connection is once in many requests.
"""

from __future__ import annotations

import logging
from asyncio import AbstractEventLoop, TimerHandle
from heapq import heappop, heappush
from typing import Final, Protocol

log = logging.getLogger(__name__)

TICK: Final = 0.02
"""Seconds between slots: how late a deadline may be noticed."""

FAR: Final = 10.0
"""A look further away than this comes up to a second early (and is repeated), so that an hour has 3,600 slots."""

NEVER: Final = float("inf")


class Timed(Protocol):
    """Something with deadlines."""

    look_at: float
    """The time of the next look, owned by the wheel; NEVER while there is none."""

    def on_timer(self, now: float) -> float:
        """Act on what is due; the time of the next look, NEVER for none."""


class Wheel:
    """Slots of `TICK` seconds, each a set of things to look at; the loop is armed for the earliest slot only."""

    __slots__ = ("_armed", "_armed_for", "_due", "_loop", "_slots")

    def __init__(self, loop: AbstractEventLoop) -> None:
        self._loop = loop
        self._slots: dict[int, dict[Timed, None]] = {}
        self._due: list[int] = []
        self._armed: TimerHandle | None = None
        self._armed_for = 0

    def look(self, item: Timed, when: float) -> None:
        """See to it that `item.on_timer` runs at `when`, or a tick later; replaces the item's earlier wish."""
        if item.look_at != NEVER:
            self.forget(item)
        if when == NEVER:
            return
        if when - self._loop.time() > FAR:
            when = float(int(when))
        item.look_at = when
        tick = int(when / TICK) + 1
        slot = self._slots.get(tick)
        if slot is None:
            slot = self._slots[tick] = {}
            heappush(self._due, tick)
            self._arm()
        slot[item] = None

    def forget(self, item: Timed) -> None:
        """Drop the item, as when its connection is lost."""
        if item.look_at == NEVER:
            return
        slot = self._slots.get(int(item.look_at / TICK) + 1)
        if slot is not None:
            slot.pop(item, None)
        item.look_at = NEVER

    def _arm(self) -> None:
        """See to it that the loop calls for the earliest slot."""
        tick = self._due[0]
        if self._armed is not None:
            if self._armed_for <= tick:
                return
            self._armed.cancel()
        self._armed_for = tick
        self._armed = self._loop.call_at(tick * TICK, self._fire)

    def _fire(self) -> None:
        self._armed = None
        now = self._loop.time()
        current = max(int(now / TICK), self._armed_for)  # a quotient may fall a hair short of the tick it is
        while self._due and self._due[0] <= current:
            for item in self._slots.pop(heappop(self._due)):
                item.look_at = NEVER
                try:
                    self.look(item, item.on_timer(now))
                except Exception:  # the deadlines of all others must hold
                    log.exception("a deadline could not be seen to")
        if self._due:
            self._arm()
