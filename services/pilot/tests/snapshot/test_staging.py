"""Mutual TLS is switched in steps in which no client speaks what its server refuses."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from services.pilot.tests.snapshot.one_port import SERVICE, policy

from mizzen.api.security import MutualTLSMode
from mizzen.pilot.base.meshconfig import MeshConfig
from mizzen.pilot.snapshot.staging import Place, Step, Taken, advanced, late_clients, late_servers, next_step, settled

DISABLE, PERMISSIVE, STRICT = MutualTLSMode.DISABLE, MutualTLSMode.PERMISSIVE, MutualTLSMode.STRICT
MODES = (DISABLE, PERMISSIVE, STRICT)


@pytest.mark.parametrize(
    ("begin", "target", "steps"),
    [
        (DISABLE, PERMISSIVE, [(PERMISSIVE, False), (PERMISSIVE, True)]),
        (DISABLE, STRICT, [(PERMISSIVE, False), (PERMISSIVE, True), (STRICT, True)]),
        (PERMISSIVE, STRICT, [(STRICT, True)]),
        (STRICT, PERMISSIVE, [(PERMISSIVE, True)]),
        (PERMISSIVE, DISABLE, [(PERMISSIVE, False), (DISABLE, False)]),
        (STRICT, DISABLE, [(PERMISSIVE, True), (PERMISSIVE, False), (DISABLE, False)]),
    ],
)
def test_the_steps_of_each_switch(begin: MutualTLSMode, target: MutualTLSMode, steps: list[Step]) -> None:
    step, found = settled(begin), []
    while step != settled(target):
        step = next_step(step, target, servers=True, clients=True)
        found.append(step)
    assert found == [Step(*each) for each in steps]


@pytest.mark.parametrize("begin", MODES)
@pytest.mark.parametrize("target", MODES)
def test_the_first_step_waits_for_nobody_and_breaks_nothing(begin: MutualTLSMode, target: MutualTLSMode) -> None:
    if begin is target:
        return
    step = next_step(settled(begin), target, servers=False, clients=False)
    assert step.serves is PERMISSIVE
    assert step.offered == settled(begin).offered


def takes(serves: MutualTLSMode, *, tls: bool) -> bool:
    return serves is PERMISSIVE or (serves is STRICT) == tls


@given(
    st.sampled_from(MODES),
    st.lists(st.one_of(st.sampled_from(MODES), st.sampled_from(["server", "client", "look"])), max_size=30),
)
def test_no_client_ever_speaks_what_its_server_refuses(begin: MutualTLSMode, events: list[MutualTLSMode | str]) -> None:
    """Servers and clients take what they are sent when they like; the operator changes his mind at any moment."""
    target, step = begin, settled(begin)
    server, client = step.serves, step.offered

    def look() -> Step:
        return next_step(step, target, servers=server is step.serves, clients=client == step.offered)

    for event in events:
        if isinstance(event, MutualTLSMode):
            target = event
            step = next_step(step, target, servers=False, clients=False) if step != settled(target) else step
        elif event == "server":
            server = step.serves
        elif event == "client":
            client = step.offered
        elif step != settled(target):
            step = look()
        assert takes(server, tls=client)
    for _ in range(4):
        server, client = step.serves, step.offered
        step = look() if step != settled(target) else step
    assert step == settled(target)


def test_who_is_late() -> None:
    place = Place("10.0.0.9", 9080)
    server = Taken("reviews.default", ("10.0.0.9",), speaks_tls=True, late_server="refused LDS: bad")
    client = Taken("page.default", ("10.0.0.8",), speaks_tls=True, late_server="x", late_client="has not answered")
    stranger = Taken("old.default", ("10.0.0.7",), speaks_tls=False, late_client="has not answered")

    assert late_servers([server, client, stranger], place) == ("reviews.default refused LDS: bad",)
    assert late_clients([server, client, stranger]) == ("page.default has not answered",)


@pytest.mark.parametrize("begin", [DISABLE, PERMISSIVE])
@pytest.mark.parametrize("address", ["10.0.0.9", "10.0.0.8"])
def test_nobody_keeps_a_port_from_being_strict(world: Any, begin: MutualTLSMode, address: str) -> None:
    """The proxy that is late may be anybody's, and the port's address what it says of itself."""
    settings = MeshConfig(enable_auto_mtls=True)
    before = world(SERVICE, policy(begin), settings=settings).mesh
    mesh = world(SERVICE, policy(STRICT), settings=settings, previous=before).mesh
    late = Taken("x.elsewhere", (address,), speaks_tls=True, late_server="has not answered", late_client="is away")
    assert mesh.staging
    for _ in range(3):
        mesh = mesh.with_staging(advanced(mesh, [late], lambda place: True), "2") if mesh.staging else mesh
    assert not mesh.staging
