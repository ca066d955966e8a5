"""`mizzen up` when it goes wrong: nothing is left running, and the reason is on the screen."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from mizzen.api.resource import ResourceKey
from mizzen.cli.checked import checked_inputs
from mizzen.cli.errors import UserError
from mizzen.cli.local import up, waiting
from mizzen.cli.local.demo import routing_files
from mizzen.cli.local.environment import mesh_environment
from mizzen.cli.local.home import Home
from mizzen.cli.local.planned import workload_addresses
from mizzen.cli.local.state import MeshState, ProcessState, SupervisorState
from mizzen.cli.local.sweep import marked_processes
from mizzen.cli.store import ConfigStore

Starter = Callable[[Home, str], "subprocess.Popen[bytes]"]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.setattr(up, "fixed_addresses", lambda: ())
    monkeypatch.setattr(up, "workload_addresses", lambda resources, numbers: [])
    return Home(tmp_path / "home")


def starting(code: str, started: list[subprocess.Popen[bytes]]) -> Starter:
    """In place of the supervisor, a small program."""

    def start(home: Home, engine: str) -> subprocess.Popen[bytes]:
        with home.log("supervisor").open("ab") as output:
            process = subprocess.Popen(
                [sys.executable, "-c", code], stdout=output, stderr=output, env=mesh_environment(home)
            )
        started.append(process)
        return process

    return start


def test_a_supervisor_that_ends_is_shown_with_its_log(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[subprocess.Popen[bytes]] = []
    monkeypatch.setattr(up, "start_supervisor", starting("raise SystemExit('out of luck')", started))
    with pytest.raises(UserError, match=r"ended with status 1.\n.*supervisor.log:\n  out of luck"):
        up.bring_up(home, "python", [])
    assert started[0].wait(timeout=30) == 1


def test_processes_that_do_not_get_ready_are_named(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[subprocess.Popen[bytes]] = []
    monkeypatch.setattr(up, "start_supervisor", starting("import time; time.sleep(1000)", started))
    monkeypatch.setattr(waiting, "READY_SECONDS", 0.1)
    with pytest.raises(UserError, match="not ready: supervisor"):
        up.bring_up(home, "python", [])
    assert started[0].wait(timeout=30) == -signal.SIGTERM
    assert marked_processes(home) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_start_leaves_nothing(
    home: Home, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    started: list[subprocess.Popen[bytes]] = []
    interrupt = f"import os, time; os.kill({os.getpid()}, {int(number)}); time.sleep(1000)"
    monkeypatch.setattr(up, "start_supervisor", starting(interrupt, started))
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            up.bring_up(home, "python", [])
    finally:
        signal.signal(signal.SIGINT, before)
    assert started[0].wait(timeout=30) == -signal.SIGTERM


def test_a_taken_port_stops_it_before_anything_is_written(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = listener.getsockname()
        monkeypatch.setattr(up, "fixed_addresses", lambda: (address,))
        with pytest.raises(UserError) as refused:
            up.bring_up(home, "python", [])
    assert re.search(rf"127.0.0.1:{address[1]} is taken by .* \(pid {os.getpid()}, in ", str(refused.value))
    assert "mizzen down" not in str(refused.value)  # it would not help against a stranger
    assert not home.path.exists()


WEB = """
apiVersion: apps/v1
kind: Deployment
metadata: {{name: web}}
spec:
  selector: {{matchLabels: {{app: web}}}}
  template:
    metadata: {{labels: {{app: web}}}}
    spec: {{containers: [{{name: web, command: [serve], ports: [{{containerPort: {port}}}]}}]}}
"""


def test_a_taken_address_of_an_application_is_found_before_it_starts(
    home: Home, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(up, "workload_addresses", workload_addresses)
    with socket.create_server(("127.2.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        file = tmp_path / "web.yaml"
        file.write_text(WEB.format(port=port))
        with pytest.raises(UserError, match=rf"127\.2\.0\.1:{port} is taken by .*\(pid {os.getpid()}"):
            up.bring_up(home, "python", [str(file)])
    assert not home.path.exists()


LISTENER = """
import socket, time
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
time.sleep(1000)
"""


def test_another_mesh_in_the_way_is_named_with_the_command_that_ends_it(
    home: Home, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    other = mesh_environment(Home(tmp_path / "another home"))
    with subprocess.Popen([sys.executable, "-c", LISTENER], stdout=subprocess.PIPE, text=True, env=other) as process:
        try:
            assert process.stdout is not None
            address = ("127.0.0.1", int(process.stdout.readline()))
            monkeypatch.setattr(up, "fixed_addresses", lambda: (address,))
            with pytest.raises(UserError) as refused:
                up.bring_up(home, "python", [])
        finally:
            process.kill()
    assert f"(pid {process.pid}, of the mesh in {tmp_path}/another home)" in str(refused.value)
    assert str(refused.value).endswith(f"MIZZEN_HOME='{tmp_path}/another home' mizzen down")


def test_progress_counts_and_names_what_is_waited_for() -> None:
    def process(name: str, state: str) -> ProcessState:
        return ProcessState(name, state, 1, 0, "", "")

    names = [("pilot", "running"), *((f"p{n}", "starting") for n in range(5))]
    state = MeshState("python", "running", SupervisorState(1, ""), tuple(process(*item) for item in names))
    assert str(waiting.Progress.of(state)) == "1 of 6 processes ready; waiting for p0, p1, p2 and 2 more"
    assert not waiting.Progress.of(state).done
    assert waiting.Progress(3, 3, ()).done
    assert not waiting.Progress(0, 0, ()).done


def test_configuration_of_last_time_is_not_a_surprise(
    home: Home, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    started: list[subprocess.Popen[bytes]] = []
    monkeypatch.setattr(up, "start_supervisor", starting("", started))

    def told(*files: str) -> str:
        with pytest.raises(UserError, match="ended with status 0"):
            up.bring_up(home, "python", files)
        started[-1].wait(timeout=30)
        return capsys.readouterr().out

    file = tmp_path / "web.yaml"
    file.write_text(WEB.format(port=1))
    assert told() == told() == ""
    assert told(str(file)).endswith(f" resources are kept from last time (rm -r {home.path} forgets the mesh).\n")
    assert told() == f"1 resource is kept from last time (rm -r {home.path} forgets the mesh).\n"


def mesh_of(*processes: tuple[str, str, int]) -> MeshState:
    """By name, state and restarts; one that restarts has ended with status 1."""
    states = tuple(
        ProcessState(name, state, 0 if state == "restarting" else 1, restarts, "", "", "ended with status 1")
        for name, state, restarts in processes
    )
    return MeshState("python", "running", SupervisorState(1, ""), states)


def test_a_process_that_keeps_ending_is_told_once() -> None:
    failures = waiting.Failures()
    assert failures.news(mesh_of(("app", "restarting", 1), ("pilot", "running", 5))) == []
    assert failures.news(mesh_of(("app", "starting", 2))) == []
    assert [item.name for item in failures.news(mesh_of(("app", "restarting", 2)))] == ["app"]
    assert failures.news(mesh_of(("app", "restarting", 3))) == []


def test_a_start_is_given_up_when_a_process_fails_although_all_others_are_ready() -> None:
    failures = waiting.Failures()
    assert not failures.hopeless(mesh_of(("app", "restarting", 4), ("other", "starting", 0)))
    assert not failures.hopeless(mesh_of(("app", "restarting", 4), ("other", "running", 0)))
    assert not failures.hopeless(mesh_of(("app", "starting", 5), ("other", "running", 0)))
    assert failures.hopeless(mesh_of(("app", "restarting", 5), ("other", "running", 0)))
    assert not failures.hopeless(mesh_of(("app", "running", 5), ("other", "running", 0)))


CRASHING = """
import os, sys
from pathlib import Path
from mizzen.cli.local.home import Home
from mizzen.cli.local.locking import Lock
from mizzen.cli.local.state import MeshState, ProcessState, SupervisorState, write_state
import itertools, time

home = Home(Path(os.environ["MIZZEN_MESH"]))
lock = Lock(home.lock)
for restarts in itertools.count():
    app = ProcessState("web-1.app", "restarting", 0, restarts, "", "", "ended with status 3")
    write_state(home.state, MeshState("python", "running", SupervisorState(os.getpid(), ""), (app,)))
    time.sleep(0.1)
"""


def test_an_application_that_cannot_run_is_said_early(
    home: Home, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    started: list[subprocess.Popen[bytes]] = []

    def start(home: Home, engine: str) -> subprocess.Popen[bytes]:
        home.log("web-1.app").write_text("first\nno such table\n")
        return starting(CRASHING, started)(home, engine)

    monkeypatch.setattr(up, "start_supervisor", start)
    with pytest.raises(UserError, match=r"These end again and again: web-1.app.\n.*web-1.app.log:\n  first\n"):
        up.bring_up(home, "python", [])
    assert started[0].wait(timeout=30) == -signal.SIGTERM
    told = r"web-1.app ended with status 3, \d+ times so far: no such table\n"
    assert len(re.findall(told, capsys.readouterr().err)) == 1


def test_without_a_terminal_it_is_said_what_is_waited_for(
    home: Home, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    started: list[subprocess.Popen[bytes]] = []
    monkeypatch.setattr(up, "start_supervisor", starting("import time; time.sleep(1000)", started))
    monkeypatch.setattr(waiting, "READY_SECONDS", 0.3)
    monkeypatch.setattr(waiting, "TELL_SECONDS", 0.05)
    with pytest.raises(UserError, match="not ready: supervisor"):
        up.bring_up(home, "python", [])
    assert started[0].wait(timeout=30) == -signal.SIGTERM
    assert "waiting for the supervisor\n" in capsys.readouterr().err


def test_a_home_of_containers_gets_the_workloads_of_the_demo_and_keeps_its_routing(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = ConfigStore(home.config)
    routing = checked_inputs(routing_files())
    changed = next(item for item in routing if item.kind == "DestinationRule" and item.metadata.name == "reviews")
    store.write([replace(changed, spec=changed.spec.model_copy(update={"subsets": ()}))])
    monkeypatch.setattr(up, "start_supervisor", starting("raise SystemExit('out of luck')", []))
    with pytest.raises(UserError):
        up.bring_up(home, "python", [])
    known = store.read()
    assert ResourceKey("Deployment", "default", "reviews-v1") in known
    assert known[changed.key].spec != changed.spec
