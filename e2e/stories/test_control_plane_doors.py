"""What workloads can learn from the control plane: nothing, but whether it lives and how it does."""

from __future__ import annotations

import pytest
from support.mesh import Mesh

pytestmark = pytest.mark.runtime("compose", "kube", reason="who is on the same machine may see all of it")


@pytest.mark.parametrize(("process", "page"), [("pilot", "/debug/configz"), ("mixer", "/debug/config")])
def test_debug_pages_are_for_who_proves_to_be_of_the_control_plane(mesh: Mesh, process: str, page: str) -> None:
    address = mesh.address_of(process)
    assert mesh.ask_at(address, 15014, "/version")[0] == 200
    assert "process_resident_memory_bytes" in mesh.ask_at(address, 15014, "/metrics")[1]
    assert mesh.ask_at(address, 15014, page)[0] != 200


def test_nobody_asks_pilot_for_configuration_in_plain_text(mesh: Mesh) -> None:
    assert mesh.ask_at(mesh.address_of("pilot"), 15010, "/") == (0, "")


def test_who_runs_the_mesh_sees_the_pages(mesh: Mesh) -> None:
    assert mesh.table("proxy-status")
    assert mesh.mizzen("mixer", "explain", "-a", "context.reporter.kind=inbound").status == 0
