"""Every case of the tables in a mesh that asks and tells Mixer: it judges requests and does not lead them elsewhere."""

from __future__ import annotations

from dataclasses import replace

import pytest
from simulation.cases import CASES, WORLDS
from simulation.harness.call import Case
from simulation.harness.simulate import simulate
from simulation.harness.world import World

WITH_MIXER = {
    name: replace(
        world,
        proxy=replace(world.proxy, mizzen=True),
        settings=replace(
            world.settings,
            mixer_check_server="istio-policy.istio-system.svc.cluster.local:9091",
            mixer_report_server="istio-telemetry.istio-system.svc.cluster.local:9091",
            disable_policy_checks=False,
        ),
    )
    for name, world in WORLDS.items()
}


def mixers(world: World) -> int:
    """How many filter chains have Mixer."""
    return sum(
        item.name == "mixer" or b"HttpClientConfig" in item.typed_config.value
        for listener in world.listeners
        for chain in (*listener.filter_chains, listener.default_filter_chain)
        for item in chain.filters
    )


@pytest.mark.parametrize("case", CASES, ids=str)
def test_mixer_leads_no_request_elsewhere(case: Case) -> None:
    world = WITH_MIXER[case.world]
    assert mixers(world)
    case.check(simulate(world, case.call))
