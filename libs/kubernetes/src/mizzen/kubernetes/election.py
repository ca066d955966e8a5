"""Which one of several replicas may write: decisions about a Lease. No I/O; time is an argument."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

LEASE_SECONDS: Final = 15
"""How long others wait after the last renewal that they saw."""
RENEW_SECONDS: Final = 10.0
"""How long a leader believes in its last renewal: less, for its clock may run slower than theirs."""
RETRY_SECONDS: Final = 2.0


@dataclass(frozen=True, slots=True)
class Lease:
    """What the API server has: who leads, and the version of that statement."""

    holder: str = ""
    """Empty when it was given back."""
    seconds: int = LEASE_SECONDS
    transitions: int = 0
    version: str = ""


class Election:
    """One candidate. Clocks are never compared: what counts is how long a lease did not change here."""

    def __init__(self, identity: str) -> None:
        self.identity = identity
        self._version: str | None = None
        self._unchanged_since = 0.0
        self._renewed_at: float | None = None

    def claim(self, lease: Lease, now: float) -> Lease | None:
        """What to write over the lease as it is: a renewal, or a takeover where it ran out. None means to wait."""
        if lease.version != self._version:
            self._version, self._unchanged_since = lease.version, now
        if lease.holder == self.identity:
            return replace(lease, seconds=LEASE_SECONDS)
        self._renewed_at = None
        if lease.holder and now < self._unchanged_since + lease.seconds:
            return None
        return Lease(self.identity, LEASE_SECONDS, lease.transitions + 1, lease.version)

    def claimed(self, asked_at: float) -> None:
        """The API server took the claim that was sent at this time."""
        self._renewed_at = asked_at

    def leads(self, now: float) -> bool:
        """Whether this candidate may write."""
        return self._renewed_at is not None and now < self._renewed_at + RENEW_SECONDS
