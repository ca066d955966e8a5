"""One authority takes the place of another, with overlap: nobody meets a certificate before its root. No I/O.

What is to come is trusted first, beside what there is. When proxies have had the time to learn of that, the new one
signs. The old one is trusted until the last certificate that it has signed is over.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from cryptography import x509

from mizzen.pilot.ca.authority import Authority

EVER = datetime.min.replace(tzinfo=UTC)


class Rotation:
    """`served` is the authority of this moment; `want` and `advance` change it. Times are arguments."""

    def __init__(self, first: Authority, settle: timedelta) -> None:
        """`settle` is how long a root must have been told of until something under it is signed."""
        self.served = first
        self._wanted = first
        self._settle = settle
        self._told: dict[x509.Certificate, datetime] = dict.fromkeys(first.roots, EVER)
        """Since when proxies could know of a root."""
        self._leaving: tuple[x509.Certificate, ...] = ()
        """Roots of those who signed before, kept until `_until`."""
        self._until = EVER

    def want(self, authority: Authority, now: datetime) -> None:
        """What is in the files now."""
        self._wanted = authority
        for root in authority.roots:
            self._told.setdefault(root, now)

    def advance(self, now: datetime, last_end: datetime) -> bool:
        """Go on as far as the time allows; whether `served` is another one. `last_end`: of all that was signed here."""
        before = self.served
        if self._wanted.certificate == before.certificate:
            if now >= self._until:
                self._leaving = ()
            self.served = _with_roots(self._wanted, self._leaving)
        elif now < self._due:
            self.served = _with_roots(before, self._wanted.roots)
        else:
            self._leaving = tuple(root for root in before.roots if root not in self._wanted.roots)
            self._until = last_end
            self.served = _with_roots(self._wanted, self._leaving)
        return self.served != before

    def seconds_until_due(self, now: datetime) -> float | None:
        """When `advance` would do something by itself; None for never."""
        if self._wanted.certificate != self.served.certificate:
            return max(0.0, (self._due - now).total_seconds())
        return max(0.0, (self._until - now).total_seconds()) if self._leaving else None

    @property
    def _due(self) -> datetime:
        since = max(self._told[root] for root in self._wanted.roots)
        return since + self._settle if since != EVER else EVER


def _with_roots(authority: Authority, more: tuple[x509.Certificate, ...]) -> Authority:
    """The same one, and these trusted too."""
    return replace(authority, roots=tuple(dict.fromkeys((*authority.roots, *more))))
