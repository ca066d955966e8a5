"""One authority replaces another, and at no moment is anything signed whose root nobody can know."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from mizzen.identity.keys import new_key
from mizzen.pilot.ca.authority import Authority, self_signed
from mizzen.pilot.ca.rotation import Rotation

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SETTLE = timedelta(seconds=10)
LIFE = timedelta(hours=24)


def root(name: str) -> Authority:
    return self_signed(new_key(), name, NOW)


OLD, NEW = root("old"), root("new")


def roots(rotation: Rotation) -> list[str]:
    return [certificate.subject.rfc4514_string() for certificate in rotation.served.roots]


def signer(rotation: Rotation) -> str:
    return rotation.served.certificate.subject.rfc4514_string()


def test_nothing_happens_without_a_wish() -> None:
    rotation = Rotation(OLD, SETTLE)
    assert not rotation.advance(NOW, NOW)
    assert rotation.seconds_until_due(NOW) is None
    assert rotation.served == OLD


def test_everything_replaced_at_once_is_trusted_first_signs_later_and_leaves_the_old_one_last() -> None:
    rotation = Rotation(OLD, SETTLE)
    rotation.want(NEW, NOW)
    assert rotation.advance(NOW, NOW)
    assert (signer(rotation), roots(rotation)) == ("O=old", ["O=old", "O=new"])
    assert rotation.seconds_until_due(NOW) == 10

    assert not rotation.advance(NOW + SETTLE / 2, NOW + LIFE)
    assert rotation.advance(NOW + SETTLE, NOW + LIFE)
    assert (signer(rotation), roots(rotation)) == ("O=new", ["O=new", "O=old"])
    assert rotation.seconds_until_due(NOW + SETTLE) == (LIFE - SETTLE).total_seconds()

    assert not rotation.advance(NOW + LIFE / 2, NOW + 2 * LIFE)  # what the new one has signed does not count
    assert rotation.advance(NOW + LIFE, NOW + 2 * LIFE)
    assert (signer(rotation), roots(rotation)) == ("O=new", ["O=new"])
    assert rotation.seconds_until_due(NOW + LIFE) is None


def test_a_root_that_was_announced_long_ago_may_sign_at_once() -> None:
    rotation = Rotation(OLD, SETTLE)
    rotation.want(replace(OLD, roots=OLD.roots + NEW.roots), NOW)
    assert rotation.advance(NOW, NOW + LIFE)
    assert (signer(rotation), roots(rotation)) == ("O=old", ["O=old", "O=new"])
    rotation.want(replace(NEW, roots=OLD.roots + NEW.roots), NOW + LIFE / 2)
    assert rotation.advance(NOW + LIFE / 2, NOW + LIFE)
    assert (signer(rotation), roots(rotation)) == ("O=new", ["O=old", "O=new"])
    rotation.want(NEW, NOW + 2 * LIFE)
    assert rotation.advance(NOW + 2 * LIFE, NOW + 3 * LIFE)
    assert roots(rotation) == ["O=new"]


def test_another_intermediate_of_the_same_root_signs_at_once() -> None:
    rotation = Rotation(OLD, SETTLE)
    other = replace(NEW, roots=OLD.roots, intermediates=(NEW.certificate,))
    rotation.want(other, NOW)
    assert rotation.advance(NOW, NOW + LIFE)
    assert rotation.served == other


def test_a_change_of_mind_is_free() -> None:
    rotation = Rotation(OLD, SETTLE)
    rotation.want(NEW, NOW)
    rotation.advance(NOW, NOW)
    rotation.want(OLD, NOW)
    assert rotation.advance(NOW, NOW)
    assert rotation.served == OLD
