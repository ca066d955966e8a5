"""Mixer's rules in every proxy's agent: the same hold, and no Mixer runs. A mesh of its own, in the other's place."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.local import LocalMesh
from support.mesh import Mesh, eventually, in_force
from support.policy import has_stars, limits_users, of_user, policy, status

pytestmark = [
    pytest.mark.runtime("local", reason="the containers of compose have one place for Mixer"),
    pytest.mark.engine("python", reason="a stock Envoy has no agent that could judge"),
]


@pytest.fixture(scope="module")
def embedded(demo: Mesh, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalMesh]:
    """A new mesh without a Mixer of its own; the addresses are the same, so the other one is down meanwhile."""
    own = LocalMesh(tmp_path_factory.mktemp("embedded"), demo.engine)
    demo.ok("down")
    try:
        own.ok("up", "--embedded-mixer")
        yield own
    finally:
        own.ok("down")
        demo.up()


def test_no_mixer_runs(embedded: LocalMesh) -> None:
    assert not [row["name"] for row in embedded.table("status")["processes"] if "mixer" in row["name"]]


def test_a_denier_holds_as_long_as_its_rule(embedded: LocalMesh) -> None:
    with embedded.applied("virtual-service-reviews-v3.yaml"):
        eventually(has_stars, "red stars")
        with in_force(embedded, policy("deny-reviews-v3.yaml")):
            eventually(lambda: not has_stars(), "a page without stars")
            assert status() == 200
            asked = "destination.labels=app:ratings,source.labels=app:reviews;version:v3"
            explained = embedded.mizzen("mixer", "explain", "-a", asked)
            assert explained.status == 1  # refused
            assert "deny-reviews-v3.rule.default matches" in explained.out
            assert "Not allowed" in explained.out
        eventually(has_stars, "stars again")


def test_a_quota_holds_as_long_as_its_rule(embedded: LocalMesh) -> None:
    with in_force(embedded, policy("productpage-quota.yaml")):
        eventually(lambda: limits_users("first"), "too many requests refused")
        eventually(lambda: of_user("first").status == 200, "tokens again")
    eventually(lambda: not limits_users("first"), "no limit any more")
