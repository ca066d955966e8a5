"""What is told of requests that fail: each reason once, and when it is over."""

from __future__ import annotations

import logging

log = logging.getLogger(__name__)


class Outages:
    """What cannot be done with one API server now, and why."""

    def __init__(self) -> None:
        self._reasons: dict[str, str] = {}

    @property
    def reasons(self) -> dict[str, str]:
        """By what it is about: a collection, for instance."""
        return dict(self._reasons)

    def begin(self, what: str, reason: str) -> None:
        """Something cannot be done; it is tried again, and what is known stays in use meanwhile."""
        known = self._reasons.values()
        if reason not in known:
            log.warning("Kubernetes API: %s: %s; what is known stays in use, trying again", what, reason)
        self._reasons[what] = reason

    def end(self, what: str) -> None:
        """It can again."""
        if self._reasons.pop(what, None) is not None and not self._reasons:
            log.info("Kubernetes API: everything works again")
