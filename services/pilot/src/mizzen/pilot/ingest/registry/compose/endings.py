"""Which containers were told to end and have not ended yet, from Docker's events."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

HARMLESS = frozenset({"1", "10", "12", "17", "18", "23", "28"})
"""Signals that do not ask a program to end: HUP, USR1, USR2, CHLD, CONT, URG, WINCH."""
FORGET_SECONDS = 120.0
"""One that runs on so long after a signal did not mean it."""


class Endings:
    """A container gets no more requests from the signal on: it closes its port before its process ends."""

    def __init__(self) -> None:
        self._since: dict[str, float] = {}

    def take(self, event: Mapping[str, Any], now: float) -> None:
        """Note an event of `GET /events`."""
        actor = event.get("Actor") or {}
        container = str(actor.get("ID", ""))
        if event.get("Action") == "kill":
            if str((actor.get("Attributes") or {}).get("signal", "")) not in HARMLESS:
                self._since[container] = now
        elif event.get("Action") in ("die", "start", "destroy"):
            self._since.pop(container, None)

    def at(self, now: float) -> frozenset[str]:
        """Ids of those that are ending."""
        self._since = {container: since for container, since in self._since.items() if now - since < FORGET_SECONDS}
        return frozenset(self._since)
