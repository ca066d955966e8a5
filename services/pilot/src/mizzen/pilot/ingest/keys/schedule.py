"""What is known of each source of keys, and when it is asked next. No I/O; times are seconds of one clock.

As Istio: every 20 minutes; the last good answer is kept for a week. Failures are tried again after a second, then less
and less often.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from mizzen.pilot.base.keysource import KeySource
from mizzen.runtime.backoff import Backoff

REFRESH: Final = 20 * 60.0
KEEP: Final = 7 * 24 * 3600.0
"""An issuer that nobody has heard of for so long may have withdrawn the keys."""
FIRST_RETRY: Final = 1.0
LAST_RETRY: Final = 60.0


@dataclass(slots=True)
class _Entry:
    timeout: float
    due: float
    keys: str = ""
    fetched: float = 0.0
    complaint: str = ""
    """Why the last attempt failed; empty when it did not."""
    backoff: Backoff = field(default_factory=lambda: Backoff(FIRST_RETRY, LAST_RETRY))


class Schedule:
    """The sources that the mesh names."""

    def __init__(self) -> None:
        self._entries: dict[KeySource, _Entry] = {}
        self._under_way: set[KeySource] = set()

    @property
    def known(self) -> Mapping[KeySource, str]:
        """The keys of each source that has answered."""
        return MappingProxyType({source: entry.keys for source, entry in self._entries.items() if entry.keys})

    def want(self, sources: Mapping[KeySource, float], now: float) -> None:
        """From now on these, with their time-outs; others are forgotten."""
        for source in self._entries.keys() - sources.keys():
            del self._entries[source]
        for source, timeout in sources.items():
            self._entries.setdefault(source, _Entry(timeout, now)).timeout = timeout

    def next_due(self) -> float | None:
        """When the next source wants to be asked; None: nothing is to be done."""
        waiting = [entry.due for source, entry in self._entries.items() if source not in self._under_way]
        return min(waiting, default=None)

    def begin(self, now: float) -> Iterator[tuple[KeySource, float]]:
        """The sources to ask now, with their time-outs; each must be ended by `succeeded` or `failed`."""
        for source, entry in list(self._entries.items()):
            if entry.due <= now and source not in self._under_way:
                self._under_way.add(source)
                yield source, entry.timeout

    def succeeded(self, source: KeySource, keys: str, now: float) -> bool:
        """The source has answered; whether its keys are other ones now."""
        self._under_way.discard(source)
        entry = self._entries.get(source)
        if entry is None:
            return False
        changed = entry.keys != keys
        entry.keys, entry.fetched, entry.complaint = keys, now, ""
        entry.due = now + REFRESH
        entry.backoff.reset()
        return changed

    def failed(self, source: KeySource, complaint: str, now: float, point: float) -> tuple[bool, bool]:
        """The source has not answered: whether this is news, and whether its keys are given up.

        `point` in [0, 1) is chance.
        """
        self._under_way.discard(source)
        entry = self._entries.get(source)
        if entry is None:
            return False, False
        is_news = entry.complaint != complaint
        entry.complaint = complaint
        entry.due = now + entry.backoff.next(point)
        given_up = bool(entry.keys) and now - entry.fetched >= KEEP
        if given_up:
            entry.keys = ""
        return is_news, given_up
