"""Several candidates and one Lease."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from hypothesis import given, settings
from hypothesis import strategies as st

from mizzen.kubernetes.election import LEASE_SECONDS, RENEW_SECONDS, RETRY_SECONDS, Election, Lease
from mizzen.kubernetes.leader import REQUEST_SECONDS


@dataclass
class Server:
    """Holds the Lease, and refuses what was not made of its last version."""

    lease: Lease = field(default_factory=Lease)
    version: int = 0

    def write(self, claim: Lease) -> bool:
        if claim.version != self.lease.version:
            return False
        self.version += 1
        self.lease = replace(claim, version=str(self.version))
        return True


def attempt(election: Election, server: Server, seen: Lease, now: float) -> None:
    claim = election.claim(seen, now)
    if claim is not None and server.write(claim):
        election.claimed(now)


def test_the_first_leads_and_the_next_takes_over_when_it_is_silent() -> None:
    server = Server()
    one, two = Election("one"), Election("two")
    attempt(one, server, server.lease, 0)
    attempt(two, server, server.lease, 1)
    assert (one.leads(1), two.leads(1)) == (True, False)
    attempt(one, server, server.lease, 5)
    attempt(two, server, server.lease, 6)
    assert server.lease.transitions == 1, "a renewal is no change of leaders"
    assert one.leads(5 + RENEW_SECONDS - 0.1)
    assert not one.leads(5 + RENEW_SECONDS)
    attempt(two, server, server.lease, 6 + LEASE_SECONDS - 0.1)
    assert not two.leads(6 + LEASE_SECONDS - 0.1)
    attempt(two, server, server.lease, 6 + LEASE_SECONDS)
    assert two.leads(6 + LEASE_SECONDS)
    assert (server.lease.holder, server.lease.transitions) == ("two", 2)
    attempt(one, server, server.lease, 6 + LEASE_SECONDS)
    assert not one.leads(6 + LEASE_SECONDS)


def test_a_lease_that_was_given_back_is_free_at_once() -> None:
    server = Server()
    one, two = Election("one"), Election("two")
    attempt(one, server, server.lease, 0)
    attempt(two, server, server.lease, 0)
    assert server.write(replace(server.lease, holder="", seconds=1))
    attempt(two, server, server.lease, 1)
    assert two.leads(1)


STEPS = st.lists(
    st.tuples(st.sampled_from((0, 1, 2)), st.floats(0.1, 6), st.booleans(), st.booleans()), min_size=1, max_size=80
)


@settings(max_examples=300, deadline=None)
@given(STEPS)
def test_never_two_leaders(steps: list[tuple[int, float, bool, bool]]) -> None:
    """Whoever is slow, cut off, or sees what was true a while ago."""
    server = Server()
    elections = [Election(str(number)) for number in range(3)]
    seen = [server.lease] * 3
    now = 0.0
    for number, pause, reads, answered in steps:
        now += pause
        if reads:
            seen[number] = server.lease
        claim = elections[number].claim(seen[number], now)
        if claim is not None and server.write(claim) and answered:
            elections[number].claimed(now)
        assert sum(election.leads(now) for election in elections) <= 1


def test_a_leader_that_cannot_renew_stops_before_the_next_one_begins() -> None:
    """At worst it looks just before its time is over, waits, and asks once more in vain."""
    assert RENEW_SECONDS + RETRY_SECONDS + REQUEST_SECONDS < LEASE_SECONDS
