"""`mizzen down` leaves no process and no port, also after the supervisor was killed."""

from __future__ import annotations

import os
import signal
import socket
from pathlib import Path

from support.mesh import GATEWAY, LocalMesh, eventually, get


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


def test_down_cleans_up_after_a_killed_supervisor_and_up_works_again(mesh: LocalMesh) -> None:
    os.kill(int(mesh.table("status")["supervisor"]["pid"]), signal.SIGKILL)
    mesh.ok("down")
    eventually(lambda: processes_of(mesh.home) == [], "no process of the mesh left")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(GATEWAY)
    mesh.ok("up", "--engine", mesh.engine)
    assert get("/productpage").status == 200


def test_a_second_mesh_is_told_which_port_is_taken(mesh: LocalMesh, tmp_path: Path) -> None:
    refused = LocalMesh(tmp_path, mesh.engine).mizzen("up", "--engine", mesh.engine)
    assert refused.status == 1
    assert "127.0.0.1:8080" in refused.text
    assert get("/productpage").status == 200
