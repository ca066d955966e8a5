"""Real processes: kept running, ended, found again after their supervisor is gone."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from mizzen.cli.local import child as child_module
from mizzen.cli.local import launcher
from mizzen.cli.local.child import Child, Command
from mizzen.cli.local.control import stop_mesh
from mizzen.cli.local.environment import MARK, mesh_environment
from mizzen.cli.local.health import Probes
from mizzen.cli.local.home import Home
from mizzen.cli.local.locking import AlreadyLockedError, Lock, holder
from mizzen.cli.local.logfiles import begin_logs, cap_logs
from mizzen.cli.local.ports import taken
from mizzen.cli.local.probe import Judgement, Probe
from mizzen.cli.local.state import MeshState, ProcessState, SupervisorState, write_state
from mizzen.cli.local.sweep import end_processes, marked_processes
from mizzen.runtime.address import unused_port

Make = Callable[..., Child]


class Changes:
    """Counts calls, and lets a test wait for the next state without a clock."""

    def __init__(self) -> None:
        self.event = asyncio.Event()

    def __call__(self) -> None:
        self.event.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(30):
            while not condition():
                await self.event.wait()
                self.event.clear()


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


@pytest.fixture
def changes() -> Changes:
    return Changes()


@pytest.fixture
async def client() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
async def make(home: Home, changes: Changes, client: aiohttp.ClientSession) -> AsyncIterator[Make]:
    children: list[Child] = []

    def make(*argv: str, **probes: Probe) -> Child:
        command = Command("child", argv, mesh_environment(home), home.log("child"), probes=Probes(**probes))
        children.append(Child(command, client, changes))
        return children[-1]

    yield make
    for child in children:
        await child.stop(1)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def test_a_process_that_dies_is_started_again(make: Make, changes: Changes) -> None:
    child = make("sleep", "1000")
    child.start()
    await changes.until(lambda: child.state == "running")
    first = child.pid
    os.kill(first, signal.SIGKILL)
    await changes.until(lambda: child.state == "restarting")
    assert child.reason == "was killed by SIGKILL"
    await changes.until(lambda: child.state == "running")
    assert child.pid != first
    assert child.restarts == 1


async def test_a_stopped_process_stays_stopped_and_takes_its_own_children_along(make: Make, changes: Changes) -> None:
    child = make("sh", "-c", "sleep 1000 & echo $!; wait")
    child.start()
    await changes.until(lambda: child.state == "running")
    grandchild = first_line(child.command.log)
    assert alive(int(grandchild))
    await child.stop(5)
    assert child.state == "stopped"
    wait_until(lambda: not alive(int(grandchild)))


def first_line(log: Path) -> str:
    wait_until(lambda: log.read_text().endswith("\n"))
    return log.read_text().splitlines()[0]


async def test_a_process_that_ignores_sigterm_is_killed(make: Make, changes: Changes) -> None:
    child = make("sh", "-c", "trap '' TERM; echo ready; while true; do sleep 0.1; done")
    child.start()
    await changes.until(lambda: child.state == "running")
    first_line(child.command.log)
    pid = child.pid
    await child.stop(0.1)
    assert not alive(pid)


async def test_an_unknown_command_is_explained_in_its_log(make: Make, changes: Changes) -> None:
    child = make("no-such-command-here")
    child.start()
    await changes.until(lambda: child.state == "restarting")
    assert "cannot run 'no-such-command-here': No such file or directory" in child.command.log.read_text()


class Patient:
    """What a process answers to its probes, by path."""

    def __init__(self) -> None:
        self.status: dict[str, int] = {}
        self.asked: list[str] = []
        app = web.Application()
        app.router.add_get("/{name}", self._answer)
        self.server = TestServer(app)

    def probe(self, name: str, failures: int = 2, period: float = 0.01) -> Probe:
        return Probe("127.0.0.1", self.server.port or 0, f"/{name}", period=period, failures=failures)

    async def _answer(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        self.asked.append(name)
        return web.Response(status=self.status.get(name, 503))


@pytest.fixture
async def patient() -> AsyncIterator[Patient]:
    patient = Patient()
    await patient.server.start_server()
    yield patient
    await patient.server.close()


async def test_readiness_follows_the_probe(make: Make, changes: Changes, patient: Patient) -> None:
    child = make("sleep", "1000", readiness=patient.probe("ready"))
    child.start()
    await changes.until(lambda: child.pid != 0)
    assert child.state == "starting"
    patient.status["ready"] = 200
    await changes.until(lambda: child.state == "running")
    patient.status["ready"] = 500
    await changes.until(lambda: child.state == "starting")
    assert child.restarts == 0


async def test_a_process_that_is_not_alive_is_started_again(make: Make, changes: Changes, patient: Patient) -> None:
    patient.status |= {"alive": 200, "ready": 200}
    child = make("sleep", "1000", readiness=patient.probe("ready"), liveness=patient.probe("alive"))
    child.start()
    await changes.until(lambda: child.state == "running")
    first = child.pid
    patient.status["alive"] = 500
    await changes.until(lambda: child.state == "restarting")
    assert child.reason == "failed its liveness probe"
    assert not alive(first)
    patient.status["alive"] = 200
    await changes.until(lambda: child.state == "running")
    assert child.restarts >= 1


async def test_a_process_that_does_not_listen_to_sigterm_is_killed(
    make: Make, changes: Changes, patient: Patient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child_module, "UNWELL_GRACE_SECONDS", 0.05)
    child = make("sh", "-c", "trap '' TERM; while :; do sleep 1000; done", liveness=patient.probe("alive"))
    child.start()
    await changes.until(lambda: child.state == "restarting")
    assert child.reason == "failed its liveness probe"


async def test_nothing_else_is_asked_before_a_process_has_started(
    make: Make, changes: Changes, patient: Patient
) -> None:
    patient.status |= {"alive": 200, "ready": 200}
    started, ready, lives = patient.probe("started", 1000), patient.probe("ready"), patient.probe("alive")
    child = make("sleep", "1000", startup=started, readiness=ready, liveness=lives)
    child.start()
    async with asyncio.timeout(10):
        while patient.asked.count("started") < 5:  # noqa: ASYNC110 - the server has no event for it
            await asyncio.sleep(0.01)
    assert set(patient.asked) == {"started"}
    assert child.state == "starting"
    patient.status["started"] = 200
    await changes.until(lambda: child.state == "running")


async def test_a_process_that_does_not_start_in_time_is_started_again(
    make: Make, changes: Changes, patient: Patient
) -> None:
    child = make("sleep", "1000", startup=patient.probe("started", failures=3))
    child.start()
    await changes.until(lambda: child.state == "restarting")
    assert child.reason == "did not pass its startup probe within 0.03 s"


async def test_a_tcp_probe_asks_for_a_connection(client: aiohttp.ClientSession) -> None:
    port = unused_port()
    with socket.create_server(("127.0.0.1", port)):
        assert await Probe("127.0.0.1", port).check(client)
    assert not await Probe("127.0.0.1", port).check(client)


@pytest.mark.parametrize(
    ("answers", "ready"),
    [("y", True), ("n", False), ("ynn", True), ("ynnn", False), ("ynnynn", True), ("nnny", True)],
)
def test_one_yes_makes_ready_and_three_noes_unready(answers: str, ready: bool) -> None:
    judgement = Judgement(3)
    for answer in answers:
        judgement.answer(answer == "y")
    assert judgement.ready is ready


PARENT = """
import subprocess, sys, os, time
child = subprocess.Popen([sys.executable, "-I", "-S", sys.argv[1], str(os.getpid()), "sleep", "1000"])
print(child.pid, flush=True)
time.sleep(1000)
"""


def test_children_end_when_their_parent_is_killed() -> None:
    command = [sys.executable, "-c", PARENT, launcher.__file__]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        # The launcher has become `sleep` once its request to the kernel is made.
        wait_until(lambda: Path(f"/proc/{child}/comm").read_text() == "sleep\n")
        parent.kill()
    wait_until(lambda: not alive(child))


def wait_until(condition: Callable[[], bool], seconds: float = 30) -> None:
    """Poll; the time is only the patience before the test fails."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


def test_the_sweep_ends_what_carries_the_mark_and_nothing_else(home: Home, tmp_path: Path) -> None:
    ours = subprocess.Popen(["sleep", "1000"], env=mesh_environment(home))
    theirs = subprocess.Popen(["sleep", "1000"], env=mesh_environment(Home(tmp_path / "other")))
    try:
        wait_until(lambda: marked_processes(home) == [ours.pid])
        assert end_processes(home, 5) == 1
        assert ours.wait(timeout=30) == -signal.SIGTERM
        assert theirs.poll() is None
    finally:
        theirs.kill()
        theirs.wait(timeout=30)


def test_stopping_counts_what_the_status_shows(home: Home) -> None:
    shown = subprocess.Popen(["sleep", "1000"], env=mesh_environment(home))
    worker = subprocess.Popen(["sleep", "1000"], env=mesh_environment(home))
    try:
        wait_until(lambda: len(marked_processes(home)) == 2)
        processes = (ProcessState("pilot", "running", shown.pid, 0, "", ""), ProcessState("a", "stopped", 0, 0, "", ""))
        write_state(home.state, MeshState("python", "running", SupervisorState(1, ""), processes))
        assert stop_mesh(home) == 1
        assert (shown.wait(timeout=30), worker.wait(timeout=30)) == (-signal.SIGTERM, -signal.SIGTERM)
        assert stop_mesh(home) == 0
    finally:
        for process in (shown, worker):
            process.kill()
            process.wait(timeout=30)


def test_the_environment_leaves_other_networks_proxies_behind(home: Home) -> None:
    inherited = {"HTTP_PROXY": "http://corp:3128", "no_proxy": "*", "PATH": "/bin", "LANG": "C"}
    environ = mesh_environment(home, inherited)
    assert environ[MARK] == str(home.path)
    assert environ["PATH"] == f"{Path(sys.executable).parent}:/bin"
    assert {"HTTP_PROXY", "no_proxy"} & environ.keys() == set()


def test_a_taken_address_names_its_owner() -> None:
    port = unused_port()
    with socket.create_server(("127.0.0.1", port)):
        (conflict,) = taken([("127.0.0.1", port)])
        assert f"127.0.0.1:{port} is taken by" in str(conflict)
        assert f"(pid {os.getpid()}, in {Path.cwd()})" in str(conflict)
    assert taken([("127.0.0.1", port)]) == []


@pytest.mark.parametrize(("family", "wildcard"), [(socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")])
def test_a_wildcard_listener_takes_every_address(family: socket.AddressFamily, wildcard: str) -> None:
    dual = family == socket.AF_INET6
    with socket.create_server((wildcard, 0), family=family, dualstack_ipv6=dual) as listener:
        port = listener.getsockname()[1]
        (conflict,) = taken([("127.0.0.9", port)])
        assert conflict.owner is not None
        assert conflict.owner.pid == os.getpid()


def test_one_supervisor_a_home(home: Home) -> None:
    assert holder(home.lock) is None
    lock = Lock(home.lock)
    assert holder(home.lock) == os.getpid()
    with pytest.raises(AlreadyLockedError):
        Lock(home.lock)
    lock.release()
    assert holder(home.lock) is None
    Lock(home.lock).release()


def test_logs_are_cut_at_the_limit_and_writers_go_on(home: Home) -> None:
    begin_logs(home.logs)
    log = home.log("app")
    with log.open("ab", buffering=0) as writer:
        writer.write(b"x" * 101)
        assert cap_logs(home.logs, 100) == [log]
        writer.write(b"next\n")
    assert log.read_bytes() == b"next\n"
    assert log.with_name("app.log.1").read_bytes() == b"x" * 101
    begin_logs(home.logs)
    assert list(home.logs.iterdir()) == []
