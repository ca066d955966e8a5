"""Mizzen's agent as users start it, with either engine behind it."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from bench.istio import BULK_PORT, GATEWAY_LABELS, GATEWAY_PORT
from bench.network import is_ready
from bench.peers.peer import Peer
from bench.peers.pilot import Pilot
from bench.process import Process, wait_until
from bench.scenario import Address, Scenario
from mizzen.cli.local.security import TLS_LABEL
from mizzen.proxy.app.envoy import find_envoy

HTTP_PROXY_PORT = 15007
STATUS_PORT = 15021


class Agent(Peer):
    """A proxy with the agent's health page."""

    def wait_ready(self) -> None:
        """Return when the proxy has all its configuration and listens."""
        health = f"http://{self.address.host}:{STATUS_PORT}/healthz/ready"
        wait_until(lambda: is_ready(health), self.process, f"200 from {health}")
        super().wait_ready()


class Mizzen(Agent):
    """The agent and one worker."""

    def __init__(self, scenario: Scenario, pilot: Pilot, address: str, folder: Path, core: set[int]) -> None:
        super().__init__("mizzen", listener(scenario, address), start("python", scenario, pilot, address, folder, core))


class Envoy(Agent):
    """A stock Envoy with one worker thread; the agent that started it only waits and is not counted."""

    def __init__(self, scenario: Scenario, pilot: Pilot, address: str, folder: Path, core: set[int]) -> None:
        process = start("envoy", scenario, pilot, address, folder, core)
        super().__init__(envoy_version(), listener(scenario, address), process)

    def pids(self) -> list[int]:
        _, *envoy = self.process.pids()
        return envoy


def listener(scenario: Scenario, address: str) -> Address:
    """Where the load goes."""
    if scenario.bulk:
        return Address(address, BULK_PORT)
    return Address(address, GATEWAY_PORT if scenario.role == "router" else HTTP_PROXY_PORT)


@dataclass(frozen=True)
class Workload:
    """Which one a proxy is for."""

    name: str
    account: str
    flags: tuple[str, ...]
    """By which its agent gets a certificate."""


def start(
    engine: str,
    scenario: Scenario,
    pilot: Pilot,
    address: str,
    folder: Path,
    core: set[int],
    workload: Workload | None = None,
) -> Process:
    """The agent, with an engine behind it."""
    known = workload or Workload(f"bench-{engine}", "default", ())
    labels = {"app": "bench", **(GATEWAY_LABELS if scenario.role == "router" else {})}
    labels |= TLS_LABEL if known.flags else {}
    # A sidecar with an application behind it opens its HTTP proxy port, not a listener for each port of the mesh.
    application = ["--app-address", "127.0.0.1"] if scenario.role == "sidecar" else []
    command = [
        *(sys.executable, "-m", "mizzen.proxy", "--engine", engine, "--role", scenario.role, "--concurrency", "1"),
        *("--name", known.name, "--labels", ",".join(f"{key}={value}" for key, value in labels.items())),
        *("--bind-address", address, *application, "--discovery-address", str(pilot.address)),
        *("--state-dir", str(folder / known.name), "--log-level", "warning", *known.flags),
    ]
    return Process(known.name, command, core, folder, {"ISTIO_META_SERVICE_ACCOUNT": known.account})


def envoy_version() -> str:
    """As results name it."""
    done = subprocess.run([find_envoy(), "--version"], capture_output=True, text=True, timeout=10, check=True)
    found = re.search(r"/(\d+\.\d+\.\d+)/", done.stdout)
    return f"envoy-{found[1]}" if found else "envoy"
