"""A whole fleet with stand-ins for Pilot and the proxies: pods come, change and go, and the registry follows."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml

from mizzen.api.parse import parse
from mizzen.api.resource import Resource
from mizzen.cli.local import commands, fleet, withdrawal
from mizzen.cli.local.child import Command
from mizzen.cli.local.config import ConfigFolder
from mizzen.cli.local.fleet import Fleet
from mizzen.cli.local.health import Probes
from mizzen.cli.local.home import Home
from mizzen.cli.local.mixer import MIXER_CONFIG
from mizzen.cli.local.sweep import marked_processes
from mizzen.pilot.ingest.registry.folder import RegistryFolder
from mizzen.runtime.files import write_atomic

YAML = """
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{name: http, port: 80, targetPort: 8000}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web-v1}
spec:
  replicas: %d
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - name: web
        command: %s
        env: [{name: GREETING, value: hello from $(POD_NAME)}]
      - name: helper
        command: [sleep, "1000"]
"""
SLEEP = "[sleep, '1000']"


def resources(replicas: int, command: str = SLEEP) -> list[Resource]:
    parsed = parse(YAML % (replicas, command))
    assert parsed.problems == ()
    return list(parsed.resources)


class Runtime:
    """A fleet, and the loop around it that the supervisor has."""

    def __init__(self, home: Home, client: aiohttp.ClientSession) -> None:
        self.work = asyncio.Event()
        self.fleet = Fleet(home, "python", client, {}, self.work.set)
        self.registry = RegistryFolder(home.registry)
        self.home = home

    async def until(self, wanted: list[Resource], condition: Any) -> None:
        async with asyncio.timeout(30):
            while True:
                self.fleet.reconcile(wanted)
                self.registry.publish(self.fleet.objects(wanted))
                if condition():
                    return
                await self.work.wait()
                self.work.clear()

    def endpoints(self) -> list[str]:
        files = self.home.registry.glob("default/EndpointSlice-web-*.yaml")
        slices = [yaml.safe_load(file.read_text()) for file in files]
        return sorted(address for item in slices for point in item["endpoints"] for address in point["addresses"])


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A mesh whose programs are stand-ins."""

    def stand_in(name: str) -> Any:
        real = getattr(commands, name)

        def command(*args: Any) -> Command:
            return replace(real(*args), argv=("sleep", "1000"), probes=Probes())

        return command

    for name in ("pilot_command", "mixer_command", "gateway_command", "sidecar_command"):
        monkeypatch.setattr(fleet, name, stand_in(name))
    monkeypatch.setattr(withdrawal, "UNTOLD_SECONDS", 0.0)
    return Home(tmp_path / "home")


@pytest.fixture
async def runtime(home: Home) -> AsyncIterator[Runtime]:
    async with aiohttp.ClientSession() as client:
        runtime = Runtime(home, client)
        runtime.fleet.start()
        yield runtime
        await runtime.fleet.stop()


async def test_pods_come_and_go_with_their_endpoints(runtime: Runtime) -> None:
    await runtime.until(resources(2), lambda: runtime.endpoints() == ["127.1.0.1", "127.1.0.2"])
    assert [state.name for state in runtime.fleet.processes] == [
        "pilot",
        "istio-ingressgateway",
        *("web-v1-1.app", "web-v1-1.helper", "web-v1-1.sidecar"),
        *("web-v1-2.app", "web-v1-2.helper", "web-v1-2.sidecar"),
    ]
    await runtime.until(resources(1), lambda: len(runtime.fleet.pods) == 1)
    assert runtime.endpoints() == ["127.1.0.1"]
    await runtime.until([], lambda: runtime.fleet.pods == ())
    assert runtime.endpoints() == []


@pytest.fixture
def mixer_config(home: Home) -> None:
    write_atomic(home.mesh_config, MIXER_CONFIG)


@pytest.mark.usefixtures("mixer_config")
async def test_a_mesh_that_names_mixer_runs_it_and_has_its_services(home: Home, runtime: Runtime) -> None:
    def endpoints(name: str) -> list[str]:
        path = home.registry / "istio-system" / f"EndpointSlice-{name}-1.yaml"
        slices = [yaml.safe_load(path.read_text())] if path.exists() else []
        return [address for item in slices for point in item["endpoints"] for address in point["addresses"]]

    def serving() -> bool:
        return endpoints("istio-policy") == endpoints("istio-telemetry") == ["127.0.1.2"]

    await runtime.until([], serving)
    [pilot, mixer, gateway] = runtime.fleet.processes
    assert [pilot.name, mixer.name, gateway.name] == ["pilot", "mixer", "istio-ingressgateway"]
    assert mixer.address == "127.0.1.2:9091"
    assert (home.registry / "istio-system" / "Service-istio-policy.yaml").exists()
    # A killed Mixer has no endpoint until it is back.
    os.kill(mixer.pid, signal.SIGKILL)
    await runtime.until([], lambda: not endpoints("istio-policy"))
    await runtime.until([], serving)
    assert runtime.fleet.processes[1].restarts == 1


async def test_a_new_command_replaces_the_pod_without_a_gap(runtime: Runtime) -> None:
    await runtime.until(resources(1), lambda: runtime.endpoints() == ["127.1.0.1"])
    changed = resources(1, "[sleep, '2000']")
    seen: list[list[str]] = []

    def replaced() -> bool:
        seen.append(runtime.endpoints())
        return [item.name for item in runtime.fleet.pods] == ["web-v1-2"] and runtime.endpoints() == ["127.1.0.2"]

    await runtime.until(changed, replaced)
    assert all(seen)


async def test_the_application_gets_its_address_and_its_way_out(runtime: Runtime) -> None:
    show = "[sh, -c, 'echo $(APP_ADDRESS) $http_proxy $GREETING; sleep 1000']"
    log = runtime.home.log("web-v1-1.app")
    await runtime.until(resources(1, show), lambda: runtime.endpoints() != [])
    async with asyncio.timeout(30):
        while not await asyncio.to_thread(log.read_text):  # noqa: ASYNC110 - a file has no event
            await asyncio.sleep(0.01)
    assert log.read_text() == "127.2.0.1 http://127.1.0.1:15007 hello from web-v1-1\n"


async def test_a_crash_takes_the_endpoint_out_until_the_process_is_back(runtime: Runtime) -> None:
    await runtime.until(resources(1), lambda: runtime.endpoints() == ["127.1.0.1"])
    app = runtime.fleet.processes[2]
    os.kill(app.pid, signal.SIGKILL)
    await runtime.until(resources(1), lambda: runtime.endpoints() == [])
    await runtime.until(resources(1), lambda: runtime.endpoints() == ["127.1.0.1"])
    assert runtime.fleet.processes[2].restarts == 1


async def test_stopping_ends_every_process(runtime: Runtime) -> None:
    await runtime.until(resources(2), lambda: len(runtime.endpoints()) == 2)
    async with asyncio.timeout(30):
        # A process in the midst of execve has no environment to read.
        while len(marked_processes(runtime.home)) != 8:  # noqa: ASYNC110 - as below
            await asyncio.sleep(0.01)
    await runtime.fleet.stop()
    async with asyncio.timeout(30):
        while marked_processes(runtime.home):  # noqa: ASYNC110 - nor has a stranger's child
            await asyncio.sleep(0.01)


def test_a_file_that_turns_bad_keeps_what_it_said(tmp_path: Path) -> None:
    folder = ConfigFolder(tmp_path)
    file = tmp_path / "web.yaml"
    file.write_text(YAML % (2, SLEEP))
    folder.load()
    good = {item.key for item in folder.resources}
    file.write_text("kind: [half a fi")
    folder.load()
    assert {item.key for item in folder.resources} == good
    assert len(folder.problems) == 1
    file.write_text(YAML % (3, SLEEP))
    folder.load()
    assert (len(folder.resources), folder.problems) == (2, [])
    file.unlink()
    folder.load()
    assert folder.resources == []
