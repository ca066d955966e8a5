"""A client that has proved who it is, and may speak for itself alone. What else it says is refused, and counted."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from prometheus_client import Counter

from mizzen.attributes.values import Value
from mizzen.identity.spiffe import SpiffeId
from mizzen.mixer.server.refusal import Refusal
from mizzen.mixer.server.reporters import objection
from mizzen.mixer.status import Code

log = logging.getLogger(__name__)

WARN_SECONDS: Final = 1.0
MAX_OBJECTIONS: Final = 10
"""That one answer tells of."""


class Watch:
    """Counts what peers may not say, and tells of it once in a while. One for a server."""

    def __init__(self, refused: Counter, clock: Callable[[], float]) -> None:
        self._refused = refused
        self._clock = clock
        self._warned = -WARN_SECONDS

    def note(self, identity: SpiffeId, reason: str, count: int) -> None:
        """So many checks or entries were refused."""
        self._refused.inc(count)
        now = self._clock()
        if now - self._warned >= WARN_SECONDS:
            self._warned = now
            log.warning("%s speaks for another: %s", identity, reason)


class Peer:
    """One identity."""

    def __init__(self, identity: SpiffeId, watch: Watch) -> None:
        self.identity = identity
        self._watch = watch

    def admit(self, attributes: Mapping[str, Value]) -> None:
        """Raises Refusal where the peer may not say this."""
        reason = objection(self.identity, attributes)
        if reason:
            self._watch.note(self.identity, reason, 1)
            raise Refusal(Code.PERMISSION_DENIED, reason)

    def sift(self, entries: Sequence[dict[str, Value]]) -> tuple[list[dict[str, Value]], list[str]]:
        """The entries that the peer may send, and some of the reasons why it may not send the others."""
        good, reasons = [], []
        for entry in entries:
            reason = objection(self.identity, entry)
            if reason:
                reasons.append(reason)
            else:
                good.append(entry)
        if reasons:
            self._watch.note(self.identity, reasons[0], len(reasons))
        return good, reasons[:MAX_OBJECTIONS]
