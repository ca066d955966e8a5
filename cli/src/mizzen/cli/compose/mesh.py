"""A mesh of containers that is up."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from mizzen.cli.compose.containers import WORKLOAD, Container, containers_of, processes, proxy_of
from mizzen.cli.compose.docker import output_of
from mizzen.cli.compose.project import Project
from mizzen.cli.errors import UserError
from mizzen.cli.local.layout import ADMIN_PORT
from mizzen.cli.local.state import ProcessState

_REQUEST = """
import http.client, sys
connection = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]), timeout=5)
connection.request(sys.argv[2], sys.argv[3])
response = connection.getresponse()
sys.stdout.buffer.write(response.read())
sys.exit(0 if response.status == 200 else f"status {response.status}")
"""
"""Admin interfaces listen on loopback, inside the proxy's network: the request is made there."""


@dataclass(frozen=True, slots=True)
class ComposeMesh:
    """The containers of a project at one instant."""

    project: Project
    containers: tuple[Container, ...]

    @classmethod
    def look(cls, project: Project) -> ComposeMesh:
        """As it is now; raises UserError when none of its containers runs."""
        found = tuple(containers_of(project.name))
        if not any(container.pid for container in found):
            raise UserError(f"No container of {project.name} runs; `mizzen down`, then `mizzen up --runtime compose`.")
        return cls(project, found)

    @property
    def processes(self) -> tuple[ProcessState, ...]:
        return processes(self.containers)

    @property
    def summary(self) -> str:
        command = " ".join(self.project.command)
        return f"Engine {self.project.engine}; project {self.project.name} of `{command}`, {self.project.file}."

    @property
    def problems(self) -> tuple[str, ...]:
        return ()

    def data(self) -> dict[str, Any]:
        found = self.processes
        return {
            "runtime": "compose",
            "engine": self.project.engine,
            "project": self.project.name,
            "processes": [asdict(process) for process in found],
            "problems": [],
            "ready": all(process.state == "running" for process in found),
        }

    def ask(self, workload: str, method: str, path: str) -> bytes:
        """What the admin interface of a workload's proxy answers; raises UserError."""
        proxy = proxy_of(self.containers, workload)
        if proxy is None:
            known = ", ".join(sorted({item.labels[WORKLOAD] for item in self.containers if WORKLOAD in item.labels}))
            raise UserError(f"There is no workload {workload!r} with a proxy; the workloads are {known}.")
        request = ("python3", "-I", "-S", "-c", _REQUEST, str(ADMIN_PORT), method, path)
        return output_of(("docker", "exec", proxy.id, *request)).encode()
