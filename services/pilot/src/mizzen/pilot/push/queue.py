"""At most one pending push per proxy."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Push:
    """What one proxy may have to hear about."""

    started: float
    """When the oldest change behind it happened; the clock of the caller."""
    types: frozenset[str] = frozenset()
    """Type URLs to look at whole."""
    endpoints: frozenset[str] = frozenset()
    """Hosts whose endpoints to look at when EDS is not among `types`."""

    def __or__(self, other: Push) -> Push:
        """Both, as one push."""
        return Push(min(self.started, other.started), self.types | other.types, self.endpoints | other.endpoints)


class PushQueue:
    """Pending pushes by connection; a later one is merged into the one that waits.

    So the queue is bounded by the number of connections, however slow their readers are.
    """

    def __init__(self) -> None:
        self._pending: dict[str, Push] = {}

    def __len__(self) -> int:
        return len(self._pending)

    def __contains__(self, connection: str) -> bool:
        return connection in self._pending

    def add(self, connection: str, push: Push) -> None:
        """Queue a push, or merge it into the one that waits."""
        waiting = self._pending.get(connection)
        self._pending[connection] = push if waiting is None else waiting | push

    def take(self, connection: str) -> Push | None:
        """The pending push of a connection, which is no longer pending then."""
        return self._pending.pop(connection, None)
