"""Captured connections through both data planes, which run on the same generated xDS."""

from __future__ import annotations

from pathlib import Path

import pytest
from simulation.cases.capture import CASES, SERVERS_FIRST, WORLDS
from simulation.harness.capture import Decide
from simulation.harness.capture_envoy import captured_envoy
from simulation.harness.capture_mizzen import captured_mizzen
from simulation.harness.world import World

from mizzen.proxy.snapshot import compile_resource
from mizzen.proxy.snapshot.result import Compiled

each_world = pytest.mark.parametrize("world", WORLDS, ids=lambda world: world.name)


def judge(world: World, decide: Decide) -> None:
    """Raise AssertionError with all cases of a world that a proxy decides otherwise."""
    cases = [case for case in CASES if case.world == world.name]
    assert cases
    assert {str(case): decide(case.connect) for case in cases} == {str(case): case.expected for case in cases}


@each_world
def test_mizzen_does_all_that_it_is_told(world: World) -> None:
    for message in (*world.listeners, *world.clusters, *world.routes.values()):
        outcome = compile_resource(message)
        assert isinstance(outcome, Compiled), str(outcome)
        assert not outcome.unsupported, message.name


@each_world
def test_envoy_decides_as_istio_does(world: World, tmp_path: Path) -> None:
    with captured_envoy(world, tmp_path, servers_first=world is SERVERS_FIRST) as decide:
        judge(world, decide)


@each_world
def test_mizzen_decides_as_istio_does(world: World) -> None:
    with captured_mizzen(world, servers_first=world is SERVERS_FIRST) as decide:
        judge(world, decide)
