"""What is told of collections that cannot be followed: each reason once, and when it is over."""

from __future__ import annotations

import logging

log = logging.getLogger(__name__)


class Outages:
    """The collections of one server that are not followed now, and why."""

    def __init__(self) -> None:
        self._reasons: dict[str, str] = {}

    @property
    def reasons(self) -> dict[str, str]:
        """By collection."""
        return dict(self._reasons)

    def begin(self, collection: str, reason: str) -> None:
        """A collection cannot be followed; what is known of it stays in use."""
        known = self._reasons.values()
        if reason not in known:
            log.warning("Cannot follow %s: %s; what is known stays in use, trying again", collection, reason)
        self._reasons[collection] = reason

    def end(self, collection: str) -> None:
        """It can again."""
        if self._reasons.pop(collection, None) is not None and not self._reasons:
            log.info("All collections of the API server are followed again")
