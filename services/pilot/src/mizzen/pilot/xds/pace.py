"""What has to wait for the client: the order of make before break, with the client's answers as the clock."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from mizzen.pilot.generate.typeurls import CLUSTER, ENDPOINT, LISTENER, ROUTE
from mizzen.pilot.xds.subscription import Subscription

LEADERS = (CLUSTER, ENDPOINT)
FOLLOWERS = (LISTENER, ROUTE)
"""Refer to leaders, and are sent when the client has answered those."""
PATIENCE = 5.0
"""Seconds to wait for an answer before the next step follows regardless."""

Names = frozenset[str] | None
"""Names of resources; None stands for all that the client watches."""


class Pace:
    """What waits in one session, and whether it is its turn."""

    def __init__(self, watches: Mapping[str, Subscription]) -> None:
        """`watches` are the session's, by type."""
        self._watches = watches
        self._news: set[str] = set()
        """Types to look at when the client has answered clusters and endpoints."""
        self._asked: dict[str, Names] = {}
        """Requests to answer then: a client that reconnects asks for everything at once."""
        self._since = 0.0
        self._stay_until = 0.0
        self._stand_ins = False
        self._taken = False
        """The client has taken the clusters that came with stand-ins."""

    # -- listeners and routes after clusters and endpoints ----------------------------------------------------------

    @property
    def waits(self) -> bool:
        """Listeners or routes wait."""
        return bool(self._news or self._asked)

    def hold_news(self, types: Iterable[str], now: float) -> None:
        """These types are to be looked at."""
        self._start_waiting(now)
        self._news.update(types)

    def hold_answer(self, type_url: str, names: Names, now: float) -> None:
        """A request is to be answered."""
        self._start_waiting(now)
        self._asked[type_url] = both(self._asked.get(type_url, frozenset()), names)

    def take(self, now: float) -> Iterator[tuple[str, Names, bool]]:
        """What no longer waits, in order: type, names to answer (empty: none), and whether to look for news."""
        if not self.waits or not (self.leaders_settled or now >= self._since + PATIENCE):
            return
        asked, self._asked = self._asked, {}
        news, self._news = self._news, set()
        for type_url in FOLLOWERS:
            if type_url in asked or type_url in news:
                yield type_url, asked.get(type_url, frozenset()), type_url in news

    @property
    def leaders_settled(self) -> bool:
        """The client has answered clusters and endpoints."""
        clusters, endpoints = (url not in self._watches or self._watches[url].settled for url in LEADERS)
        return endpoints and (clusters or self._taken)

    def _start_waiting(self, now: float) -> None:
        if not self.waits:
            self._since = now

    # -- removal after listeners and routes -------------------------------------------------------------------------

    def stay(self, now: float) -> None:
        """The client has just come back and holds too much: its listeners and routes, yet unasked for, go first."""
        self._stay_until = now + PATIENCE

    def may_remove(self, now: float) -> bool:
        """Nothing refers any more to what is gone: listeners and routes were accepted."""
        followers = [self._watches[type_url] for type_url in FOLLOWERS if type_url in self._watches]
        accepted = all(watch.accepted for watch in followers)
        return not self.waits and accepted and (bool(followers) or now >= self._stay_until)

    def stayed(self, now: float) -> bool:
        """The time of `stay` is over."""
        return now >= self._stay_until

    # -- stand-ins --------------------------------------------------------------------------------------------------

    def stand_ins(self, *, sent: bool) -> None:
        """Stand-ins for clusters are with the client, which answers clusters only when they are gone again."""
        self._stand_ins, self._taken = sent, False

    def endpoints_asked(self) -> None:
        """A request for endpoints: if stand-ins were sent before, then the client has taken the other clusters too."""
        self._taken = self._stand_ins

    # -- time -------------------------------------------------------------------------------------------------------

    def due(self, *, staying: bool) -> float | None:
        """When patience ends; `staying` says that something waits as in `stay`."""
        if self.waits:
            return self._since + PATIENCE
        followed = any(type_url in self._watches for type_url in FOLLOWERS)
        return self._stay_until if staying and not followed else None


def both(names: Names, more: Names) -> Names:
    """The union."""
    return None if names is None or more is None else names | more
