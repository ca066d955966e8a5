"""The mesh of a home that is up, whichever runtime it is on."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Protocol

from mizzen.cli.compose.mesh import ComposeMesh
from mizzen.cli.compose.project import read_project
from mizzen.cli.fetch import ask
from mizzen.cli.local import access
from mizzen.cli.local.home import Home
from mizzen.cli.local.layout import ADMIN_PORT
from mizzen.cli.local.locking import holder
from mizzen.cli.local.state import MeshState, ProcessState, read_state
from mizzen.cli.workload import admin_host


class Mesh(Protocol):
    """What commands ask of a mesh."""

    @property
    def processes(self) -> tuple[ProcessState, ...]:
        """Processes or containers."""
        ...

    @property
    def summary(self) -> str:
        """One line for a person."""
        ...

    @property
    def problems(self) -> tuple[str, ...]:
        """What keeps part of it from running."""
        ...

    def data(self) -> dict[str, Any]:
        """All of it as plain values."""
        ...

    def ask(self, workload: str, method: str, path: str) -> bytes:
        """What the admin interface of a workload's proxy answers; raises UserError."""
        ...


@dataclass(frozen=True, slots=True)
class LocalMesh:
    """Processes of this machine."""

    state: MeshState

    @property
    def processes(self) -> tuple[ProcessState, ...]:
        return self.state.processes

    @property
    def summary(self) -> str:
        supervisor = self.state.supervisor
        return f"Engine {self.state.engine}; supervisor pid {supervisor.pid}, up since {supervisor.started}."

    @property
    def problems(self) -> tuple[str, ...]:
        return self.state.problems

    def data(self) -> dict[str, Any]:
        data = asdict(self.state) | {"ready": self.state.ready, "runtime": "local"}
        data.pop("numbers")
        return data

    def ask(self, workload: str, method: str, path: str) -> bytes:
        return ask(method, admin_host(self.state, workload), ADMIN_PORT, path, f"The proxy of {workload}")


def running_mesh(home: Home) -> Mesh:
    """What runs now; raises UserError when no mesh is up."""
    project = read_project(home)
    return LocalMesh(access.running_mesh(home)) if project is None else ComposeMesh.look(project)


def is_up(home: Home) -> bool:
    """Whether somebody has started a mesh there and not stopped it."""
    return holder(home.lock) is not None or read_project(home) is not None


def kind_of(home: Home) -> tuple[str, str] | None:
    """Runtime and engine of the mesh that is up; None when none is."""
    project = read_project(home)
    if project is not None:
        return "compose", project.engine
    if holder(home.lock) is None:
        return None
    state = read_state(home.state)
    return "local", state.engine if state else "python"
