"""By what results of checks are found again: whoever would be judged otherwise must not find them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from mizzen.attributes.identity import TOKEN
from mizzen.proxy.engine.arrival import UNPROVED, Identities
from mizzen.proxy.engine.attributes import Reference, bind_getters

REVIEWS, RATINGS = (f"spiffe://cluster.local/ns/shop/sa/{name}" for name in ("reviews", "ratings"))
ANN: dict[str, object] = {"iss": "i", "sub": "ann", "aud": "shop", "azp": "app", "role": "buyer", "groups": ["a"]}
BOB = {**ANN, "sub": "bob", "aud": "bank", "azp": "web", "role": "seller"}


def key(
    reference: Reference,
    identities: Identities = UNPROVED,
    claims: dict[str, object] | None = None,
    *,
    forwarded: bytes = b"",
    trusts_peer: bool = True,
) -> tuple[Any, ...]:
    view: Any = SimpleNamespace(identities=identities, claims=claims, forwarded=forwarded)
    found = tuple(get(view) for get in bind_getters([reference], trusts_peer=trusts_peer))
    hash(found)
    return found


@pytest.mark.parametrize(
    "reference", ["source.principal", "source.user", "source.namespace", "connection.mtls", ("source.principal", "")]
)
def test_callers_are_told_apart(reference: Reference) -> None:
    keys = {key(reference, (name, REVIEWS, "")) for name in (REVIEWS, RATINGS, "")}
    assert len(keys) == 3


@pytest.mark.parametrize(
    ("reference", "place"), [("destination.principal", 1), ("connection.requested_server_name", 2)]
)
def test_connections_to_others_are_told_apart(reference: Reference, place: int) -> None:
    other = list(UNPROVED)
    other[place] = RATINGS
    assert key(reference, (other[0], other[1], other[2])) != key(reference)


@pytest.mark.parametrize("reference", [*TOKEN, ("request.auth.claims", "role")])
def test_users_are_told_apart(reference: Reference) -> None:
    assert len({key(reference, claims=claims) for claims in (ANN, BOB, None)}) == 3


def test_an_entry_depends_on_no_other() -> None:
    reference = ("request.auth.claims", "role")
    assert key(reference, claims=ANN) == key(reference, claims=ANN | {"sub": "bob"})
    assert key(("request.auth.claims", "groups"), claims=ANN) == key(("request.auth.claims", "groups"), claims={})


def test_what_a_peer_says_of_proved_things_takes_no_part() -> None:
    assert key("source.principal", forwarded=b"a") == key("source.principal", forwarded=b"b")
    assert key("source.namespace", forwarded=b"a") != key("source.namespace", forwarded=b"b")
