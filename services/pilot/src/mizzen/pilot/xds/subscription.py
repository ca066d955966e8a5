"""What one client asked for of one type, and what it was sent. Pure data with the rules that keep it consistent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from mizzen.pilot.generate.encoded import Encoded
from mizzen.pilot.xds.messages import ALL, Response

MAX_CHARACTERS = 16 * 1024 * 1024
"""Of the names of one subscription: 150,000 of Envoy's longer ones. Requests of delta add up."""
MAX_IN_FLIGHT = 16
"""Responses whose names are remembered until they are answered; older ones are taken for lost."""


class Status(StrEnum):
    """`mizzen proxy-status` of one type."""

    SYNCED = "SYNCED"
    STALE = "STALE"
    NOT_SENT = "NOT SENT"
    ERROR = "ERROR"
    IGNORED = "IGNORED"
    """The client does not watch the type."""


@dataclass(slots=True)
class Subscription:
    """One type on one stream. Times are seconds of the caller's clock, 0 when it never happened."""

    type_url: str
    names: set[str] = field(default_factory=set)
    wildcard: bool = False
    """All resources of the type, with or without `names`."""

    sent: dict[str, Encoded] = field(default_factory=dict)
    """What the client holds if it accepted everything."""
    retry: set[str] = field(default_factory=set)
    """Rejected: sent again with the next push of the type, changed or not."""
    owed: set[str] = field(default_factory=set)
    """Endpoints to be sent again although nothing is new: their clusters changed and warm again."""
    failures: dict[str, str] = field(default_factory=dict)
    """Why a resource, or a part of it, could not be generated; `*` stands for all of them."""
    in_flight: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Names by nonce of responses that are not answered yet, oldest first."""

    nonce_sent: str = ""
    nonce_acked: str = ""
    nonce_rejected: str = ""
    version_sent: str = ""
    version_acked: str = ""
    error: str = ""
    """The text of the last NACK, until an ACK leaves nothing rejected."""
    sent_at: float = 0.0
    acked_at: float = 0.0
    rejected_at: float = 0.0

    @property
    def too_large(self) -> bool:
        """More is watched than any mesh has: the client is no proxy, or none that works."""
        return sum(map(len, self.names)) > MAX_CHARACTERS

    @property
    def status(self) -> Status:
        """What people see."""
        if not self.nonce_sent:
            return Status.NOT_SENT
        if self.error:
            return Status.ERROR
        return Status.SYNCED if self.accepted else Status.STALE

    @property
    def accepted(self) -> bool:
        """The last response was ACKed."""
        return self.nonce_sent == self.nonce_acked

    @property
    def settled(self) -> bool:
        """The last response was answered, one way or the other."""
        return self.nonce_sent in (self.nonce_acked, self.nonce_rejected)

    def watches(self, name: str) -> bool:
        """The client wants to hear of this resource."""
        return self.wildcard or name in self.names

    def is_news(self, resource: Encoded) -> bool:
        """The client does not hold this version, as far as we know."""
        known = self.sent.get(resource.name)
        return known is None or known.version != resource.version or resource.name in self.retry

    def forget(self, names: Iterable[str]) -> None:
        """The client does not hold these any more."""
        for name in names:
            self.sent.pop(name, None)
            self.retry.discard(name)
            self.owed.discard(name)

    def narrow(self) -> None:
        """The client dropped what it does not watch any more."""
        self.forget([name for name in self.sent if not self.watches(name)])
        self.failures = {name: reason for name, reason in self.failures.items() if name == ALL or self.watches(name)}

    def note_failures(self, names: frozenset[str] | None, failures: Mapping[str, str]) -> None:
        """What could not be generated of these names, or (None) of all."""
        others = {} if names is None else {n: why for n, why in self.failures.items() if n not in names and n != ALL}
        self.failures = {**others, **failures}

    def take_owed(self) -> frozenset[str]:
        """The owed names that are still watched, which are no longer owed then."""
        owed = frozenset(name for name in self.owed if self.watches(name))
        self.owed.clear()
        return owed

    def record(self, response: Response, now: float) -> None:
        """The response is on its way."""
        for resource in response.resources:
            self.sent[resource.name] = resource
            self.retry.discard(resource.name)
        self.forget(response.removed)
        self.in_flight[response.nonce] = tuple(resource.name for resource in response.resources)
        if len(self.in_flight) > MAX_IN_FLIGHT:
            del self.in_flight[next(iter(self.in_flight))]
        self.nonce_sent = response.nonce
        self.version_sent = response.version
        self.sent_at = now

    def acknowledge(self, now: float) -> None:
        """The last response was accepted; an earlier one may have been refused, and its error stays."""
        self.retry.difference_update(*self.in_flight.values())
        self.in_flight.clear()
        self.nonce_acked = self.nonce_sent
        self.version_acked = self.version_sent
        self.acked_at = now
        if not self.retry:
            self.error = ""

    def reject(self, nonce: str, error: str, now: float) -> None:
        """A response was refused; its resources are not sent again before the next push."""
        refused = self.in_flight.get(nonce, ())
        self.retry.update(name for name in refused if name in self.sent)
        while nonce in self.in_flight:
            del self.in_flight[next(iter(self.in_flight))]
        self.nonce_rejected = nonce
        self.error = error or "rejected without a reason"
        self.rejected_at = now
