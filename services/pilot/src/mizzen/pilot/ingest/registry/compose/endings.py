"""Which containers are ending or have just ended, from Docker's events: its lists tell of neither in time."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

HARMLESS = frozenset({"1", "10", "12", "17", "18", "23", "28"})
"""Signals that do not ask a program to end: HUP, USR1, USR2, CHLD, CONT, URG, WINCH."""
FORGET_SECONDS = 120.0
"""One that runs on so long after a signal did not mean it."""


class Endings:
    """A container gets no more requests from the signal on, as it closes its port before its process ends.

    Docker tells of an end before its lists show it, so one that ended is remembered until it starts again.
    """

    def __init__(self) -> None:
        self._until: dict[str, float] = {}

    def take(self, event: Mapping[str, Any], now: float) -> None:
        """Note an event of `GET /events`; an empty one begins anew, as events before it may be missing."""
        actor, action = event.get("Actor") or {}, event.get("Action")
        container = str(actor.get("ID", ""))
        if not event:
            self._until.clear()
        elif action == "die":
            self._until[container] = math.inf
        elif action == "kill":
            if str((actor.get("Attributes") or {}).get("signal", "")) not in HARMLESS:
                self._until.setdefault(container, now + FORGET_SECONDS)
        elif action in ("start", "destroy"):
            self._until.pop(container, None)

    def at(self, now: float) -> frozenset[str]:
        """Ids of those that are ending or have ended."""
        self._until = {container: until for container, until in self._until.items() if now < until}
        return frozenset(self._until)
