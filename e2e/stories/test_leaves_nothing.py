"""`mizzen down` leaves no process and no port, also after the supervisor was killed."""

from __future__ import annotations

import os
import signal
import socket
from pathlib import Path

import pytest
from support.mesh import GATEWAY, Mesh, eventually, get


def processes_of(home: Path) -> list[str]:
    """Command lines of live processes whose environment names this home."""
    wanted = f"MIZZEN_HOME={home}".encode()
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if wanted in (entry / "environ").read_bytes().split(b"\0"):
                found.append((entry / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue  # it ended while we looked, or it is not ours
    return found


@pytest.mark.runtime("local", reason="only this runtime has a supervisor that can be killed")
def test_down_cleans_up_after_a_killed_supervisor_and_up_works_again(mesh: Mesh) -> None:
    os.kill(int(mesh.table("status")["supervisor"]["pid"]), signal.SIGKILL)
    mesh.ok("down")
    eventually(lambda: processes_of(mesh.home) == [], "no process of the mesh left")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(GATEWAY)
    mesh.up()
    assert get("/productpage").status == 200


@pytest.mark.runtime("local", "compose", reason="a cluster's gateway has an address of its own")
def test_a_second_mesh_is_told_what_is_in_its_way(mesh: Mesh, tmp_path: Path) -> None:
    refused = type(mesh)(tmp_path, mesh.engine).mizzen("up", "--runtime", mesh.runtime, "--engine", mesh.engine)
    assert refused.status == 1
    assert mesh.obstacle in refused.text
    assert get("/productpage").status == 200
