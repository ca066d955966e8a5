"""What a request means: the two variants of the xDS protocol, each as one function of request and subscription.

The order of the rules is Istio's (mesh.md, push machinery). Where that loses a subscription that the protocol's
specification protects (names that come with a NACK, or with an outdated nonce in delta), the specification wins: the
added names, and only they, are answered.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from mizzen.pilot.generate.encoded import Encoded
from mizzen.pilot.generate.typeurls import WILDCARD
from mizzen.pilot.xds.messages import ALL, DeltaRequest, SotwRequest
from mizzen.pilot.xds.subscription import Subscription


class Verdict(StrEnum):
    """Which rule a request fell under."""

    NACK = "nack"
    UNSUBSCRIBED = "unsubscribed"
    FIRST = "first"
    STALE = "stale"
    ACK = "ack"
    CHANGED = "changed"
    """Delta only: a change of the subscription that answers no response."""
    IGNORED = "ignored"


@dataclass(frozen=True, slots=True)
class Reading:
    """The verdict on a request and what to answer."""

    verdict: Verdict
    subscription: Subscription | None = None
    """The watch from now on; None when there is none."""
    names: frozenset[str] | None = frozenset()
    """To be answered even if they are known to the client; None means everything watched; empty means no answer."""


def read_sotw(watch: Subscription | None, request: SotwRequest, now: float) -> Reading:
    """State of the world: every request states all names."""
    wildcard = ALL in request.names or (
        not request.names and request.type_url in WILDCARD and (watch is None or watch.wildcard)
    )
    names = request.names - {ALL}
    if request.error is not None:
        return _read_sotw_nack(watch, request, names, now)
    if not names and not wildcard:
        return Reading(Verdict.UNSUBSCRIBED)
    if watch is None or not request.nonce:
        return Reading(Verdict.FIRST, Subscription(request.type_url, set(names), wildcard), names=None)
    if request.nonce != watch.nonce_sent:
        return Reading(Verdict.STALE, watch)
    watch.acknowledge(now)
    grown = wildcard and not watch.wildcard
    added = _replace_names(watch, names, wildcard)
    return Reading(Verdict.ACK, watch, names=None if grown else added | watch.take_owed())


def _read_sotw_nack(watch: Subscription | None, request: SotwRequest, names: frozenset[str], now: float) -> Reading:
    if watch is None or not request.nonce:
        return Reading(Verdict.NACK, watch)
    watch.reject(request.nonce, request.error or "", now)
    if request.nonce != watch.nonce_sent or not names:
        return Reading(Verdict.NACK, watch)
    return Reading(Verdict.NACK, watch, names=_replace_names(watch, names, watch.wildcard))


def _replace_names(watch: Subscription, names: frozenset[str], wildcard: bool) -> frozenset[str]:
    """The names that the client did not watch before."""
    added = frozenset(names - watch.names)
    watch.names = set(names)
    watch.wildcard = wildcard
    watch.narrow()
    return added


def read_delta(watch: Subscription | None, request: DeltaRequest, now: float) -> Reading:
    """Delta: requests state changes of the set of names, and ACKs carry none."""
    if watch is None:
        if request.error is not None:
            return Reading(Verdict.NACK)
        return Reading(Verdict.FIRST, _first_delta(request), names=None)
    verdict = _delta_verdict(watch, request)
    if verdict is Verdict.NACK:
        watch.reject(request.nonce, request.error or "", now)
    elif verdict is Verdict.ACK:
        if watch.settled:  # it was answered before: what the client refused then, it has by now
            watch.retry.clear()
        watch.acknowledge(now)
    everything = watch.wildcard
    added = _change_names(watch, request)
    grown = watch.wildcard and not everything
    # A watch without names stays: without it, the ACK that follows an unsubscription would look like a first request.
    return Reading(verdict, watch, names=None if grown else added)


def _delta_verdict(watch: Subscription, request: DeltaRequest) -> Verdict:
    if request.error is not None:
        return Verdict.NACK
    if not request.nonce:
        return Verdict.CHANGED
    return Verdict.ACK if request.nonce == watch.nonce_sent else Verdict.STALE


def _first_delta(request: DeltaRequest) -> Subscription:
    """A first request, or one after a reconnect: the client says what it holds already."""
    wildcard = ALL in request.subscribe or (not request.subscribe and request.type_url in WILDCARD)
    names = set(request.subscribe) - {ALL}
    if not wildcard:
        names |= set(request.initial_versions) - set(request.unsubscribe)
    watch = Subscription(request.type_url, names, wildcard)
    watch.sent = {name: Encoded(name, b"", version) for name, version in request.initial_versions.items()}
    watch.narrow()
    return watch


def _change_names(watch: Subscription, request: DeltaRequest) -> frozenset[str]:
    """The names that the client asks for; asking again for a name is a wish to get it again."""
    added = request.subscribe - {ALL}
    dropped = request.unsubscribe - request.subscribe
    if ALL in request.subscribe:
        watch.wildcard = True
    if ALL in dropped:
        watch.wildcard = False
    watch.names = (watch.names | added) - dropped
    watch.narrow()
    return frozenset(added)
