"""A mesh of containers."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from mizzen.cli.compose.project import Project, read_project
from mizzen.cli.local.home import Home
from support.mesh import Folders, Mesh

SECONDS = 120
NETWORK = "mizzen_default"
OUTPUT = "/var/log/mizzen"


def docker(*args: str) -> str:
    """Standard output of a docker command, which must succeed."""
    done = subprocess.run(["docker", *args], capture_output=True, text=True, timeout=SECONDS, check=False)
    assert done.returncode == 0, f"docker {' '.join(args)} ended with {done.returncode}:\n{done.stderr}"
    return done.stdout


class ComposeMesh(Mesh):
    """Containers of a compose project."""

    runtime = "compose"
    proxies = 8
    command_seconds = 300

    @property
    def obstacle(self) -> str:
        return f"MIZZEN_HOME={self.home} mizzen down"

    @property
    def visitors(self) -> str:
        return str(self._network()["Subnet"])

    @property
    def outside(self) -> str:
        return str(self._network()["Gateway"])

    def app(self, workload: str) -> str:
        return f"{workload}-app"

    def sidecar(self, workload: str) -> str:
        return f"{workload}-proxy"

    def log(self, process: str) -> list[str]:
        done = subprocess.run(
            ["docker", "logs", self.container(process)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=SECONDS,
            check=True,
        )
        return done.stdout.splitlines()

    def stop(self, workload: str) -> None:
        self._compose("stop", *self.parts(workload))
        self._compose("rm", "--force", *self.parts(workload))

    def start(self, workload: str) -> None:
        self._compose("up", "--detach", "--no-recreate", self.app(workload))

    def adapters(self) -> Folders:
        folder = self.home / "adapters"
        folder.mkdir(exist_ok=True)

        def read(name: str) -> str:
            command = ("docker", "exec", self.container("mixer"), "cat", f"{OUTPUT}/{name}")
            return subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False).stdout

        return Folders(folder, "/etc/mizzen/adapters", OUTPUT, read)

    @contextmanager
    def redis(self) -> Iterator[str]:
        self._compose("up", "--detach", "redis")
        try:
            yield "redis:6379"
        finally:
            self._compose("rm", "--stop", "--force", "redis")

    def parts(self, workload: str) -> tuple[str, str, str]:
        """The services of a workload, in the order in which they end."""
        return self.app(workload), self.sidecar(workload), workload

    def container(self, service: str) -> str:
        """The id of a service's container."""
        return docker("ps", "--all", "--quiet", "--filter", f"label=com.docker.compose.service={service}").split()[0]

    def exec(self, service: str, *command: str) -> str:
        """Standard output of a command that runs in a service's container."""
        return docker("exec", self.container(service), *command)

    @property
    def project(self) -> Project:
        """What `mizzen up` started."""
        project = read_project(Home(self.home))
        assert project is not None
        return project

    def _compose(self, *args: str) -> None:
        project = Project(self.project.command, self.project.file, self.engine, profiles=("observability",))
        project.run(Home(self.home), *args, seconds=SECONDS)

    def _network(self) -> dict[str, str]:
        found: dict[str, str] = json.loads(docker("network", "inspect", NETWORK))[0]["IPAM"]["Config"][0]
        return found
