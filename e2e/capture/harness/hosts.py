"""Network namespaces that stand for machines on one switch.

All of a network is in namespaces with random names, cables included, so runs do not meet and nothing is left when the
namespaces are gone.
"""

from __future__ import annotations

import contextlib
import secrets
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

COMMAND_SECONDS = 30
_READ = ("--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search")
"""Users other than root may read what root may, as the interpreter is in root's home on some machines."""


@dataclass(frozen=True)
class Host:
    """One namespace."""

    namespace: str
    ipv4: str
    ipv6: str

    def command(self, command: Sequence[str], uid: int = 0, gid: int | None = None) -> list[str]:
        """The command line that runs the command in here as this user."""
        group = uid if gid is None else gid
        user = ["setpriv", f"--reuid={uid}", f"--regid={group}", "--clear-groups", *_READ] if (uid or group) else []
        return ["ip", "netns", "exec", self.namespace, *user, *command]

    def run(self, *command: str, uid: int = 0, gid: int | None = None, text: str | None = None) -> str:
        """What the command prints; it must succeed."""
        done = self.attempt(*command, uid=uid, gid=gid, text=text)
        assert done.returncode == 0, f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
        return done.stdout

    def attempt(
        self, *command: str, uid: int = 0, gid: int | None = None, text: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """The same, however it ends."""
        return subprocess.run(
            self.command(command, uid, gid),
            input=text,
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
            check=False,
        )


@dataclass
class Network:
    """A switch and the hosts on it."""

    suffix: str
    hosts: dict[str, Host]

    @property
    def switch(self) -> str:
        return f"mz-{self.suffix}-switch"

    def add(self, name: str) -> Host:
        """A host with the next address of each family, the switch as its gateway, and loopback."""
        number = len(self.hosts) + 2
        host = Host(f"mz-{self.suffix}-{name}", f"10.77.0.{number}", f"fd77::{number}")
        self.hosts[name] = host
        _namespace(host.namespace)
        peer = f"to-{number}"
        _ip("-n", host.namespace, *f"link add eth0 type veth peer name {peer} netns {self.switch}".split())
        _ip("-n", self.switch, *f"link set {peer} master switch up".split())
        _ip("-n", host.namespace, *f"address add {host.ipv4}/24 dev eth0".split())
        _ip("-n", host.namespace, *f"address add {host.ipv6}/64 dev eth0 nodad".split())
        _ip("-n", host.namespace, *["link", "set", "eth0", "up"])
        _ip("-n", host.namespace, *["route", "add", "default", "via", "10.77.0.1"])
        _ip("-n", host.namespace, *["-6", "route", "add", "default", "via", "fd77::1"])
        return host


@contextlib.contextmanager
def network() -> Iterator[Network]:
    """An empty network; everything in it is gone afterwards."""
    made = Network(secrets.token_hex(3), {})
    try:
        _namespace(made.switch)
        _ip("-n", made.switch, *["link", "add", "switch", "type", "bridge"])
        _ip("-n", made.switch, *["address", "add", "10.77.0.1/24", "dev", "switch"])
        _ip("-n", made.switch, *["address", "add", "fd77::1/64", "dev", "switch", "nodad"])
        _ip("-n", made.switch, *["link", "set", "switch", "up"])
        yield made
    finally:
        for namespace in [host.namespace for host in made.hosts.values()] + [made.switch]:
            # One that was never made is no reason to leave the others.
            subprocess.run(
                ["ip", "netns", "delete", namespace], capture_output=True, timeout=COMMAND_SECONDS, check=False
            )


def _namespace(name: str) -> None:
    _ip("netns", "add", name)
    _ip("-n", name, *["link", "set", "lo", "up"])


def _ip(*arguments: str) -> None:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, timeout=COMMAND_SECONDS, check=False)
    assert done.returncode == 0, f"ip {' '.join(arguments)}: {done.stderr.strip()} (these tests run as root)"
