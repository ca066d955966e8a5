"""Containers of the images that `make images` built: HUB and TAG as there."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import time
from dataclasses import dataclass, field
from typing import Any

LOCKED = ("--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges")
"""What every image must bear."""


@dataclass
class Engine:
    """The Docker engine; containers and network of one test, which end with it."""

    suffix: str = field(default_factory=lambda: secrets.token_hex(4))
    _containers: list[str] = field(default_factory=list)

    def image(self, target: str) -> str:
        return f"{os.environ.get('HUB', 'mizzen')}/{target}:{os.environ.get('TAG', 'dev')}"

    def ask(self, *arguments: str) -> str:
        """What `docker ARGUMENT...` prints; an AssertionError with its complaint when it fails."""
        asked = subprocess.run(("docker", *arguments), capture_output=True, text=True, timeout=50, check=False)
        assert asked.returncode == 0, f"docker {' '.join(arguments)}: {asked.stdout}{asked.stderr}"
        return asked.stdout

    def logs(self, container: str) -> str:
        read = subprocess.run(("docker", "logs", container), capture_output=True, text=True, timeout=50, check=False)
        return read.stdout + read.stderr

    def settings(self, target: str) -> dict[str, Any]:
        known: dict[str, Any] = json.loads(
            self.ask("image", "inspect", "--format", "{{json .Config}}", self.image(target))
        )
        return known

    def run(self, target: str, *arguments: str, options: tuple[str, ...] = LOCKED) -> str:
        """The output of a container that ends by itself."""
        return self.ask("run", "--rm", *options, self.image(target), *arguments)

    def start(self, target: str, *arguments: str, options: tuple[str, ...] = LOCKED) -> str:
        """The name of a container that goes on; others of the test reach it by the name of its target."""
        name = f"{target}-{self.suffix}"
        if not self._containers:
            self.ask("network", "create", self.network)
        self._containers.append(name)
        placed = ("--name", name, "--network", self.network, "--network-alias", target)
        self.ask("run", "--detach", *placed, *options, self.image(target), *arguments)
        return name

    def wait_healthy(self, container: str, seconds: float = 40) -> None:
        deadline = time.monotonic() + seconds
        while (state := self.ask("inspect", "--format", "{{.State.Health.Status}}", container).strip()) != "healthy":
            assert time.monotonic() < deadline, f"{container} is {state}: {self.logs(container)}"
            time.sleep(0.2)

    @property
    def network(self) -> str:
        return f"mizzen-images-{self.suffix}"

    def clean(self) -> None:
        if self._containers:
            self.ask("rm", "--force", "--volumes", *self._containers)
            self.ask("network", "rm", self.network)
