"""What the supervisor tells the command line: `state.json`, replaced as a whole at every change."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from mizzen.runtime.files import write_atomic


@dataclass(frozen=True, slots=True)
class ProcessState:
    """One process; pid 0 while there is none."""

    name: str
    state: str
    """starting (not ready), running, restarting or stopped."""
    pid: int
    restarts: int
    address: str
    log: str
    reason: str = ""
    """How it ended the last time."""


@dataclass(frozen=True, slots=True)
class PodState:
    """One pod."""

    namespace: str
    name: str
    deployment: str
    address: str
    app_address: str
    ready: bool
    stopping: bool = False


@dataclass(frozen=True, slots=True)
class SupervisorState:
    """The supervisor itself."""

    pid: int
    started: str
    """ISO 8601, UTC."""


@dataclass(frozen=True, slots=True)
class MeshState:
    """The whole mesh."""

    engine: str
    phase: str
    """running or stopping."""
    supervisor: SupervisorState
    processes: tuple[ProcessState, ...] = ()
    pods: tuple[PodState, ...] = ()
    problems: tuple[str, ...] = ()
    numbers: dict[str, int] = field(default_factory=dict)
    """The number N of its addresses that each pod has or had, by namespace/name."""

    @property
    def ready(self) -> bool:
        """Whether everything runs."""
        return all(process.state == "running" for process in self.processes)


def write_state(path: Path, state: MeshState) -> None:
    write_atomic(path, json.dumps(asdict(state), indent=1) + "\n")


def read_state(path: Path) -> MeshState | None:
    """The last written state; None when there is none, or when another version of Mizzen wrote it."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        return _state(data)
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError):
        return None


def _state(data: dict[str, Any]) -> MeshState:
    return MeshState(
        engine=data["engine"],
        phase=data["phase"],
        supervisor=SupervisorState(**data["supervisor"]),
        processes=tuple(ProcessState(**item) for item in data["processes"]),
        pods=tuple(PodState(**item) for item in data["pods"]),
        problems=tuple(data["problems"]),
        numbers=dict(data["numbers"]),
    )
