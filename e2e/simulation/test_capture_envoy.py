"""Captured connections through a stock Envoy that runs on the generated xDS."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from simulation.cases.capture import CASES, SERVERS_FIRST, WORLDS
from simulation.harness.capture import captured, outcome
from simulation.harness.connect import Captured
from simulation.harness.envoy import RealEnvoy


@pytest.fixture(scope="module", params=WORLDS, ids=lambda world: world.name)
def proxy(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, RealEnvoy]]:
    """The Envoy of each world: its name, and the process."""
    world = request.param
    with captured(world, tmp_path_factory.mktemp("captured"), servers_first=world is SERVERS_FIRST) as envoy:
        yield world.name, envoy


def test_envoy_decides_as_istio_does(proxy: tuple[str, RealEnvoy]) -> None:
    name, envoy = proxy
    cases: list[Captured] = [case for case in CASES if case.world == name]
    found = {str(case): outcome(envoy, case.connect) for case in cases}
    assert found == {str(case): case.expected for case in cases}
