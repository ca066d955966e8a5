"""Connections that the kernel redirects, in network namespaces."""

import ctypes
import secrets
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

import pytest

pytestmark = pytest.mark.netns
PROXY = Path(__file__).with_name("captured_proxy.py")
USER = "1337"
HOSTS = ("10.77.0.1", "fd77::1")
INBOUND, OUTBOUND = 9080, 7000
SECONDS = 15.0
CLONE_NEWNET = 0x40000000
Result = TypeVar("Result")
READ = ("--inh-caps=-all,+dac_read_search", "--ambient-caps=-all,+dac_read_search")


def run(*words: str) -> None:
    subprocess.run(words, check=True, timeout=SECONDS, capture_output=True, text=True)


@contextmanager
def new_namespace() -> Iterator[str]:
    """With an address of each family on its loopback interface."""
    name = f"mizzen-{secrets.token_hex(4)}"
    run("ip", "netns", "add", name)
    try:
        run("ip", "-n", name, "link", "set", "lo", "up")
        for address in (f"{HOSTS[0]}/32", f"{HOSTS[1]}/128", "::6/128"):
            run("ip", "-n", name, "address", "add", address, "dev", "lo")
        yield name
    finally:
        run("ip", "netns", "delete", name)


def rules(namespace: str, table: str, *added: str) -> None:
    """Append rules to a table of iptables, and of ip6tables; {own} is the proxy's source address."""
    for program, own in (("iptables", "127.0.0.6/32"), ("ip6tables", "::6/128")):
        for rule in added:
            run(*f"ip netns exec {namespace} {program} -w -t {table} -A {rule.format(own=own)}".split())


@pytest.fixture
def namespace() -> Iterator[str]:
    """Everything is redirected but what user 1337 or the proxy's own source sends."""
    with new_namespace() as name:
        rules(
            name,
            "nat",
            "OUTPUT -o lo -s {own} -j RETURN",
            f"OUTPUT -m owner --uid-owner {USER} -j RETURN",
            f"OUTPUT -p tcp --dport {INBOUND} -j REDIRECT --to-ports 15006",
            f"OUTPUT -p tcp --dport {OUTBOUND} -j REDIRECT --to-ports 15001",
        )
        yield name


@pytest.fixture
def proxy(namespace: str) -> Iterator[None]:
    """Runs in the namespace, without any right but to read its own code, wherever the checkout lies."""
    user = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups", "--no-new-privs", *READ]
    with running(namespace, *user, sys.executable, "-B", str(PROXY)):
        yield


@contextmanager
def running(namespace: str, *words: str) -> Iterator[None]:
    """A proxy."""
    command = ["ip", "netns", "exec", namespace, *words]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        try:
            assert process.stdout.readline() == "ready\n"
            yield
        finally:
            process.stdin.close()
            process.wait(SECONDS)


def inside(namespace: str, call: Callable[[], Result]) -> Result:
    """What `call` returns in the namespace; sockets that it made stay there."""
    found: list[Result] = []

    def enter() -> None:
        with Path(f"/run/netns/{namespace}").open("rb") as file:
            if ctypes.CDLL(None, use_errno=True).setns(file.fileno(), CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), "setns")
        found.append(call())

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join(SECONDS)
    assert found, "nothing came of it"
    return found[0]


def connect(namespace: str, host: str, port: int) -> socket.socket:
    """A client's connection in the namespace."""
    return inside(namespace, lambda: socket.create_connection((host, port), timeout=SECONDS))


class Greeter:
    """A server that speaks first: it says whom it sees, then repeats what it hears."""

    def __init__(self, namespace: str, host: str, port: int) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = inside(namespace, lambda: socket.create_server((host, port), family=family))
        self._socket.settimeout(SECONDS)
        self._thread = threading.Thread(target=self._serve)

    def _serve(self) -> None:
        with suppress(TimeoutError, OSError):
            connection, peer = self._socket.accept()
            with connection:
                connection.settimeout(SECONDS)
                connection.sendall(f"220 {peer[0]}\n".encode())
                while data := connection.recv(65536):
                    connection.sendall(data)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *error: object) -> None:
        self._thread.join(SECONDS)
        self._socket.close()


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("port", [INBOUND, OUTBOUND])
def test_a_redirected_connection_arrives_where_it_was_going(namespace: str, proxy: None, host: str, port: int) -> None:
    seen = {INBOUND: {HOSTS[0]: "127.0.0.6", HOSTS[1]: "::6"}, OUTBOUND: {known: known for known in HOSTS}}
    with Greeter(namespace, host, port), connect(namespace, host, port) as client, client.makefile("rb") as lines:
        assert lines.readline() == f"220 {seen[port][host]}\n".encode()
        client.sendall(b"hello\n")
        assert lines.readline() == b"hello\n"


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("port", [15001, 15006])
def test_who_calls_the_capturing_port_itself_is_closed(namespace: str, proxy: None, host: str, port: int) -> None:
    with connect(namespace, host, port) as client, suppress(ConnectionResetError):
        assert client.recv(1) == b""


@pytest.mark.parametrize(("target", "seen"), [("10.78.0.1", "127.0.0.6"), ("fd78::1", "::6")])
def test_tproxy_needs_no_redirection(target: str, seen: str) -> None:
    """From another namespace, for only what arrives can be captured so; and with the right to open such sockets."""
    with new_namespace() as server, new_namespace() as client:
        run(*f"ip -n {server} link add eth0 type veth peer name eth0 netns {client}".split())
        for name, last in ((server, 1), (client, 2)):
            run(*f"ip -n {name} address add 10.78.0.{last}/24 dev eth0".split())
            run(*f"ip -n {name} address add fd78::{last}/64 dev eth0 nodad".split())
            run(*f"ip -n {name} link set eth0 up".split())
        rules(
            server,
            "mangle",
            f"PREROUTING -i eth0 -p tcp --dport {INBOUND} -j TPROXY --on-port 15006 --tproxy-mark 1337",
        )
        for family in ("-4", "-6"):
            run(*f"ip -n {server} {family} rule add fwmark 1337 lookup 133".split())
            run(*f"ip -n {server} {family} route add local default dev lo table 133".split())
        with (
            running(server, sys.executable, "-B", str(PROXY), "TPROXY"),
            Greeter(server, target, INBOUND),
            connect(client, target, INBOUND) as connection,
            connection.makefile("rb") as lines,
        ):
            assert lines.readline() == f"220 {seen}\n".encode()
