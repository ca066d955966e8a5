"""Istio's security bulletins about ways around a policy: each is tried on a stock Envoy and on our proxy."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from simulation.cases.bulletins import BULLETINS
from simulation.harness.admission import LetsIn
from simulation.harness.admission_proxies import envoy, mizzen

WORKLOADS = tuple({each.workload.name: each.workload for tried in BULLETINS.values() for each in tried}.values())


@pytest.fixture(scope="module", params=["envoy", "mizzen"])
def lets_in(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LetsIn]:
    """One proxy for all workloads, one after the other."""
    if request.param == "envoy":
        with envoy(WORKLOADS, tmp_path_factory.mktemp("envoy")) as asks:
            yield asks
    else:
        with mizzen(WORKLOADS) as asks:
            yield asks


def verify(lets_in: LetsIn, bulletin: str) -> None:
    found, expected = {}, {}
    for tried in BULLETINS[bulletin]:
        for visitor in (*tried.out, *tried.served):
            key = f"{tried.workload.name}: {tried.speaks}: {visitor}"
            found[key] = lets_in(tried.workload.name, tried.speaks, visitor)
            expected[key] = visitor in tried.served
    assert found == expected


def test_istio_security_2019_007_blanks_around_values(lets_in: LetsIn) -> None:
    verify(lets_in, "2019-007")


def test_istio_security_2020_001_query_or_fragment_at_a_path_that_needs_a_token(lets_in: LetsIn) -> None:
    verify(lets_in, "2020-001")


def test_istio_security_2020_009_suffixes_of_principals_on_tcp(lets_in: LetsIn) -> None:
    verify(lets_in, "2020-009")


def test_istio_security_2020_010_several_values_of_a_header(lets_in: LetsIn) -> None:
    verify(lets_in, "2020-010")


def test_istio_security_2021_004_negated_principals_and_plain_text(lets_in: LetsIn) -> None:
    verify(lets_in, "2021-004")


def test_istio_security_2021_005_slashes_and_dots_in_paths(lets_in: LetsIn) -> None:
    verify(lets_in, "2021-005")


def test_istio_security_2021_008_case_and_port_of_hosts_and_fragments(lets_in: LetsIn) -> None:
    verify(lets_in, "2021-008")


def test_istio_security_2022_001_hosts_and_not_hosts(lets_in: LetsIn) -> None:
    verify(lets_in, "2022-001")


def test_istio_security_2023_001_a_client_states_its_original_path(lets_in: LetsIn) -> None:
    verify(lets_in, "2023-001")


def test_istio_security_2023_003_schemes_of_mixed_case(lets_in: LetsIn) -> None:
    verify(lets_in, "2023-003")


def test_istio_security_2026_001_each_value_of_a_header_by_itself(lets_in: LetsIn) -> None:
    verify(lets_in, "2026-001")


def test_istio_security_2026_003_dots_in_service_accounts(lets_in: LetsIn) -> None:
    verify(lets_in, "2026-003")


def test_envoy_cve_2025_46821_stars_in_paths_of_templates(lets_in: LetsIn) -> None:
    verify(lets_in, "CVE-2025-46821")


def test_trust_domains_that_look_alike(lets_in: LetsIn) -> None:
    verify(lets_in, "trust domain")
