"""One mesh serves all stories; a story leaves it as it found it."""

from __future__ import annotations

import fcntl
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.mesh import LocalMesh


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--engine", default="python", choices=["python", "envoy"], help="the data plane")


@pytest.fixture(scope="session")
def addresses() -> Iterator[None]:
    """The local runtime's addresses are fixed, so two runs on one machine take turns."""
    with (Path(tempfile.gettempdir()) / "mizzen-e2e.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@pytest.fixture(scope="session")
def mesh(
    addresses: None, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[LocalMesh]:
    """The demo on the local runtime, with the data plane under test."""
    mesh = LocalMesh(tmp_path_factory.mktemp("home"), request.config.getoption("--engine"))
    try:
        mesh.ok("up", "--engine", mesh.engine)
        yield mesh
    finally:
        mesh.ok("down")
