"""The policy matrix: every condition, allowed and denied, as it is and negated, through both data planes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from simulation.cases.admission import POLICIES
from simulation.harness.admission import LetsIn
from simulation.harness.admission_proxies import envoy, mizzen

WORKLOADS = [policy.workload for policies in POLICIES.values() for policy in policies]


@pytest.fixture(scope="module", params=["envoy", "mizzen"])
def lets_in(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LetsIn]:
    """One proxy for all workloads, one after the other: they listen on the same ports."""
    if request.param == "envoy":
        with envoy(WORKLOADS, tmp_path_factory.mktemp("envoy")) as asks:
            yield asks
    else:
        with mizzen(WORKLOADS) as asks:
            yield asks


@pytest.mark.parametrize("condition", POLICIES)
def test_whoever_a_policy_means_and_nobody_else(lets_in: LetsIn, condition: str) -> None:
    found, expected = {}, {}
    for policy in POLICIES[condition]:
        name = policy.workload.name
        found |= {f"{name}: {s}: {v}": lets_in(name, s, v) for s, v in policy.visits()}
        expected |= {f"{name}: {visit}": verdict for visit, verdict in policy.expected().items()}
    assert found == expected
