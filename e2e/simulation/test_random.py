"""Random VirtualServices and requests: Mizzen's decision is Envoy's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st
from simulation.cases.base import SERVICES, outbound
from simulation.harness.ask import ask
from simulation.harness.call import Call
from simulation.harness.live import LiveRoutes, live_routes
from simulation.harness.simulate import simulate
from simulation.harness.strategies import SUBSETS, calls, http_routes
from simulation.harness.world import World

PORT = 9080


def world(routes: list[dict[str, Any]]) -> World:
    virtual_service = {
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": {"name": "random", "namespace": "default"},
        "spec": {"hosts": ["reviews"], "http": routes},
    }
    return World("random", SERVICES + yaml.safe_dump(virtual_service, sort_keys=False))


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveRoutes]:
    listeners = world([{"route": [{"destination": {"host": "reviews"}}]}]).listeners
    template = next(listener for listener in listeners if listener.address.socket_address.port_value == PORT)
    clusters = [outbound("reviews", subset) for subset in SUBSETS]
    with live_routes(tmp_path_factory.mktemp("live"), template, clusters) as live:
        yield live


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(routes=http_routes(), requests=st.lists(calls(), min_size=8, max_size=8))
def test_envoy_and_mizzen_agree_on_random_routes(
    live: LiveRoutes, routes: list[dict[str, Any]], requests: list[Call]
) -> None:
    mesh = world(routes)
    note(yaml.safe_dump(routes, sort_keys=False))
    live.push(mesh.routes[str(PORT)])
    for call in requests:
        mizzen, envoy = simulate(mesh, call), ask(call, live.port)
        assert mizzen == envoy, f"{call}\n mizzen {mizzen}\n envoy  {envoy}"
