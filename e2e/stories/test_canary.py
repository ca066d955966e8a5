"""The classic canary: Istio's own samples, unchanged syntax, move the traffic of reviews."""

from __future__ import annotations

from math import sqrt

import pytest
from support.mesh import Mesh, count_versions, eventually, only

REQUESTS = 1000
SIGMAS = 5  # a fair split falls outside once in two million runs


def within(count: int, share: float) -> bool:
    return abs(count - REQUESTS * share) <= SIGMAS * sqrt(REQUESTS * share * (1 - share))


def test_all_traffic_goes_to_v1_and_back_to_all_when_the_rule_is_deleted(mesh: Mesh) -> None:
    with mesh.applied("virtual-service-all-v1.yaml"):
        eventually(only({"v1"}), "all reviews from v1")
        assert set(count_versions(100)) == {"v1"}
    eventually(lambda: set(count_versions(30)) == {"v1", "v2", "v3"}, "every version again")


def test_jason_alone_sees_v2(mesh: Mesh) -> None:
    jason = {"cookie": "session=; user=jason", "end-user": "jason"}
    with mesh.applied("virtual-service-all-v1.yaml"), mesh.applied("virtual-service-reviews-test-v2.yaml"):
        eventually(only({"v2"}, jason), "jason's reviews from v2")
        assert set(count_versions(50, jason)) == {"v2"}
        assert set(count_versions(50)) == {"v1"}


@pytest.mark.parametrize(
    ("sample", "shares"),
    [
        ("virtual-service-reviews-90-10.yaml", {"v1": 0.9, "v2": 0.1}),
        ("virtual-service-reviews-50-v3.yaml", {"v1": 0.5, "v3": 0.5}),
        ("virtual-service-reviews-80-20.yaml", {"v1": 0.8, "v2": 0.2}),
    ],
)
def test_a_weighted_split_is_what_a_thousand_requests_see(mesh: Mesh, sample: str, shares: dict[str, float]) -> None:
    with mesh.applied(sample):
        eventually(lambda: set(count_versions(60)) == set(shares), f"{sample} in force")
        seen = count_versions(REQUESTS)
    assert set(seen) == set(shares)
    assert all(within(seen[version], share) for version, share in shares.items()), seen
