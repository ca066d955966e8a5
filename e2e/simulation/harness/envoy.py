"""A stock Envoy on loopback, told everything at its start."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from envoy.config.bootstrap.v3 import bootstrap_pb2
from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.listener.v3 import listener_pb2
from envoy.extensions.transport_sockets.tls.v3 import secret_pb2

START_SECONDS = 20


class RealEnvoy:
    """A running Envoy; listeners bound to port 0 are asked for by name."""

    def __init__(self, admin: str, folder: Path) -> None:
        self.admin = admin
        self.folder = folder
        listeners = self.get("/listeners?format=json")["listener_statuses"]
        self.ports: dict[str, int] = {
            status["name"]: status["local_address"]["socket_address"]["port_value"]
            for status in listeners
            if "socket_address" in status["local_address"]
        }

    def get(self, path: str) -> Any:
        """A JSON document of the admin interface."""
        with urllib.request.urlopen(f"http://{self.admin}{path}", timeout=5) as response:
            return json.load(response)

    def stat(self, name: str) -> int:
        """A counter or gauge."""
        found = self.get(f"/stats?format=json&filter=^{name}$")["stats"]
        return int(found[0]["value"]) if found else 0


@contextmanager
def running(
    folder: Path,
    listeners: list[listener_pb2.Listener],
    clusters: list[cluster_pb2.Cluster],
    secrets: Sequence[secret_pb2.Secret] = (),
) -> Iterator[RealEnvoy]:
    """Start Envoy with these resources; its refusal of any of them is an AssertionError with its words."""
    bootstrap = bootstrap_pb2.Bootstrap()
    bootstrap.node.id = bootstrap.node.cluster = "simulation"
    bootstrap.static_resources.listeners.extend(listeners)
    bootstrap.static_resources.clusters.extend(clusters)
    bootstrap.static_resources.secrets.extend(secrets)
    bootstrap.admin.address.socket_address.address = "127.0.0.1"
    bootstrap.admin.address.socket_address.port_value = 0
    config = folder / "bootstrap.pb"
    config.write_bytes(bootstrap.SerializeToString())
    admin = folder / "admin"
    log = folder / "envoy.log"
    binary = Path(sys.executable).with_name("envoy")
    command = [str(binary), "-c", str(config), "--admin-address-path", str(admin), "--concurrency", "1"]
    command += ["--disable-hot-restart", "--log-level", "warning"]
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, stdin=subprocess.DEVNULL)
    try:
        yield RealEnvoy(_await_live(process, admin, log), folder)
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)


def _await_live(process: subprocess.Popen[bytes], admin: Path, log: Path) -> str:
    """The admin address, once every listener listens."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None, f"Envoy ended with {process.returncode}:\n{log.read_text()}"
        if admin.exists() and (address := admin.read_text()) and _is_live(address):
            return address
        time.sleep(0.02)
    raise AssertionError(f"Envoy was not live within {START_SECONDS} s:\n{log.read_text()}")


def _is_live(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"http://{address}/ready", timeout=5) as response:
            return bool(response.status == 200)
    except OSError:  # not listening yet, or 503: initializing
        return False
