"""A network namespace that stands for a machine, and all that runs in it.

Names are random, and nothing outside of the namespaces is changed, so runs do not meet and nothing is left after one.
"""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from support.kube.process import Process

COMMAND_SECONDS = 30
UPLINK = "uplink"
NOBODY = "172.31.0.254"
FORWARD = Path(__file__).with_name("forward.py")


class Machine:
    """One; `stack` ends what runs there."""

    address = "172.31.0.1"
    services = "10.96.0.0/16"
    pods = "10.244.0.0/16"

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder = folder
        self.prefix = f"mz-{secrets.token_hex(3)}"
        self.namespace = f"{self.prefix}-node"
        self.stack = stack

    def command(self, *command: str) -> list[str]:
        return ["nsenter", f"--net=/run/netns/{self.namespace}", *command]

    def run(self, name: str, *command: str, environment: dict[str, str] | None = None) -> Process:
        """A program in the background, until the end of all."""
        process = Process(self.command(*command), self.folder / f"{name}.log", environment)
        self.stack.callback(process.end)
        return process

    def expose(self, port: int) -> None:
        self.forward(port, "127.0.0.1", port)

    def forward(self, port: int, host: str, there: int) -> None:
        """Have 127.0.0.1:port of this machine lead to `host:there`, as the machine knows it."""
        listening = self.stack.enter_context(socket.socket())
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(("127.0.0.1", port))
        listening.listen(128)
        enter, log = self.command(), self.folder / f"forward-{port}.log"
        self.stack.callback(passed_on(listening, enter, host, there, log).end)

    def prepare(self) -> None:
        """Loopback, and an uplink that leads nowhere: without a route, nothing is sent to a Service."""
        _ip("netns", "add", self.namespace)
        _ip("-n", self.namespace, "link", "set", "lo", "up")
        _ip("-n", self.namespace, *f"link add {UPLINK} type veth peer name nowhere".split())
        _ip("-n", self.namespace, *f"address add {self.address}/24 dev {UPLINK}".split())
        for link in (UPLINK, "nowhere"):
            _ip("-n", self.namespace, "link", "set", link, "up")
        _ip("-n", self.namespace, "route", "add", "default", "via", NOBODY)
        subprocess.run(
            self.command("sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward"), check=True, timeout=COMMAND_SECONDS
        )

    def remove(self) -> None:
        """Whatever still runs in the namespaces, then the namespaces."""
        for name in left_behind(self.prefix):
            for pid in _ip("netns", "pids", name).split():
                with suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)
            _ip("netns", "delete", name)


def passed_on(listening: socket.socket, enter: list[str], host: str, there: int, log: Path) -> Process:
    """What comes to a socket goes to `host:there`, from where the command `enter` leads."""
    command = [*enter, sys.executable, "-I", str(FORWARD), str(listening.fileno()), host, str(there)]
    return Process(command, log, inherited=(listening.fileno(),))


def left_behind(prefix: str) -> list[str]:
    """The network namespaces of a machine that are there now."""
    return sorted(path.name for path in Path("/run/netns").glob(f"{prefix}-*"))


@contextmanager
def machine(folder: Path) -> Iterator[Machine]:
    """A new one; nothing of it is left afterwards."""
    with ExitStack() as stack:
        made = Machine(folder, stack)
        folder.mkdir(parents=True, exist_ok=True)
        stack.callback(made.remove)
        made.prepare()
        yield made


def _ip(*arguments: str) -> str:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, timeout=COMMAND_SECONDS, check=False)
    assert done.returncode == 0, f"ip {' '.join(arguments)}: {done.stderr.strip()} (these tests run as root)"
    return done.stdout
