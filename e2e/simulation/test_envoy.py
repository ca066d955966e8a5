"""The same cases through a stock Envoy that runs on the same generated xDS: both data planes decide alike."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from simulation.cases import CASES, WORLDS
from simulation.harness import instrument
from simulation.harness.ask import ask
from simulation.harness.call import Call, Case, Result
from simulation.harness.echo import echo_server
from simulation.harness.envoy import RealEnvoy, running
from simulation.harness.simulate import simulate


@pytest.fixture(scope="module")
def envoy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealEnvoy]:
    """One Envoy with the listeners of all worlds."""
    listeners = [listener for world in WORLDS.values() for listener in instrument.listeners(world)]
    routes = [routes for world in WORLDS.values() for routes in world.routes.values()]
    with echo_server() as port:
        clusters = instrument.clusters(routes, port)
        with running(tmp_path_factory.mktemp("envoy"), listeners, clusters) as envoy:
            yield envoy


def decided_by(envoy: RealEnvoy, world: str, call: Call) -> Result:
    port = envoy.ports.get(f"{world}:{call.port}")
    return Result("no listener") if port is None else ask(call, port)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_envoy_and_mizzen_agree(envoy: RealEnvoy, case: Case) -> None:
    real = decided_by(envoy, case.world, case.call)
    case.check(real)
    assert simulate(WORLDS[case.world], case.call) == real
