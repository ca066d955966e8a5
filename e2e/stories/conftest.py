"""One mesh serves all stories; a story leaves it as it found it."""

from __future__ import annotations

import fcntl
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.compose import ComposeMesh
from support.kube.mesh import KubeMesh
from support.local import LocalMesh
from support.mesh import REVIEWS, Mesh, eventually, get

RUNTIMES: dict[str, type[Mesh]] = {mesh.runtime: mesh for mesh in (LocalMesh, ComposeMesh, KubeMesh)}
STORY_SECONDS = 180
"""With the start of the mesh, which is the first one's; a processor that others use too makes it long."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--engine", default="python", choices=["python", "envoy"], help="the data plane")
    parser.addoption("--runtime", default="local", choices=sorted(RUNTIMES), help="what the mesh is made of")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "runtime(*names, reason): a story that only makes sense on some runtimes, and why"
    )
    config.addinivalue_line(
        "markers", "engine(*names, reason): a story that only makes sense on some data planes, and why"
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """A story of another runtime or data plane is no story of this run."""
    others = [item for item in items if any(_is_of_another(item, config, kind) for kind in ("runtime", "engine"))]
    if others:
        config.hook.pytest_deselected(items=others)
        items[:] = [item for item in items if item not in others]
    for item in items:
        item.add_marker(pytest.mark.timeout(STORY_SECONDS))


def _is_of_another(item: pytest.Item, config: pytest.Config, kind: str) -> bool:
    mark = item.get_closest_marker(kind)
    return mark is not None and config.getoption(kind) not in mark.args


@pytest.fixture(scope="session")
def addresses() -> Iterator[None]:
    """The addresses of a mesh are fixed, so two runs on one machine take turns."""
    with (Path(tempfile.gettempdir()) / "mizzen-e2e.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@pytest.fixture(scope="session")
def demo(addresses: None, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Mesh]:
    """The mesh on the runtime and with the data plane under test."""
    home = tmp_path_factory.mktemp("home")
    for folder in (home, *home.parents[:2]):
        folder.chmod(0o755)  # containers have users of their own
    mesh = RUNTIMES[request.config.getoption("--runtime")](home, request.config.getoption("--engine"))
    try:
        mesh.up()
        yield mesh
    finally:
        mesh.ok("down")


@pytest.fixture
def mesh(demo: Mesh) -> Iterator[Mesh]:
    """The demo's mesh; a story is over when everybody is answered again."""
    yield demo
    eventually(_answers_everybody, "everybody answered after the story")


def _answers_everybody() -> bool:
    """Whether no request of many is refused: a connection of a stock Envoy is judged once more as when it was made."""
    return all(get(REVIEWS).status == 200 for _ in range(12))
