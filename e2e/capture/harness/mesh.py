"""A mesh on hosts of its own: Pilot, a client and a server with captured traffic, and a host outside of the mesh."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml
from capture.harness import applications
from capture.harness.hosts import Host, network
from capture.harness.programs import PYTHON, proxy_init, running, wait_until
from capture.harness.registry import GREETER, REDIS, WEB, registry

PROXY_UID = 1337
XDS_PORT, MONITORING_PORT = 15010, 15014
EXCLUDED_PORT, EXCLUDED_UID = 8099, 2000
"""What the client's rules leave alone."""
MESH_CONFIG = {"accessLogFile": "/dev/stdout", "protocolDetectionTimeout": "300ms"}
"""Without this time-out a proxy waits for a client's first bytes for ever, as Istio's do, where a Service's port does
not say what is spoken; and a client of a server that speaks first waits for the server's."""
READY = "http://127.0.0.1:15021/healthz/ready"
SIDECAR_PORTS = "15090,15021,15020"
PROBERS = {
    "/app-health/web/livez": {"httpGet": {"path": "/live", "port": WEB}, "timeoutSeconds": 5},
    "/app-health/redis/readyz": {"tcpSocket": {"port": REDIS}, "timeoutSeconds": 5},
    "/app-health/none/readyz": {"tcpSocket": {"port": 9}, "timeoutSeconds": 5},
}
"""What injection would hand to an agent."""


@dataclass
class Mesh:
    """A running one."""

    engine: str
    folder: Path
    pilot: Host
    client: Host
    server: Host
    outside: Host

    def log(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def log_lines(self, host: str, *parts: str) -> list[str]:
        """The lines of a host's access log that have all these parts."""
        flush = ("curl", "-sS", "-X", "POST", "http://127.0.0.1:15000/reopen_logs")
        if self.engine == "envoy":  # else it writes every ten seconds
            {"client": self.client, "server": self.server}[host].run(*flush)
        lines = self.log(f"{host}-proxy").read_text("utf-8", "replace").splitlines()
        return [line for line in lines if all(part in line for part in parts)]

    def set_outbound_policy(self, mode: str) -> None:
        """REGISTRY_ONLY or ALLOW_ANY; in force some time later."""
        config = MESH_CONFIG | {"outboundTrafficPolicy": {"mode": mode}}
        fresh = self.folder / "mesh.yaml.new"
        fresh.write_text(yaml.safe_dump(config))
        fresh.rename(self.folder / "mesh.yaml")


@contextmanager
def mesh(engine: str, server_mode: str = "REDIRECT") -> Iterator[Mesh]:
    """The mesh with this data plane; ready, and gone afterwards. The client is always in the mode REDIRECT."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mizzen-capture-")))
        folder.chmod(0o755)
        hosts = stack.enter_context(network())
        made = Mesh(engine, folder, *(hosts.add(name) for name in ("pilot", "client", "server", "outside")))
        _start_pilot(stack, made)
        _start_applications(stack, made)
        proxy_init(made.server, "-m", server_mode, "-b", "*", "-d", SIDECAR_PORTS, "-i", "*", "--dual-stack")
        excluded = ("-o", str(EXCLUDED_PORT), "-u", f"{PROXY_UID},{EXCLUDED_UID}", "-g", str(PROXY_UID))
        proxy_init(made.client, "-b", "*", "-d", SIDECAR_PORTS, "-i", "*", *excluded, "--dual-stack")
        for name, host in (("client", made.client), ("server", made.server)):
            _start_proxy(stack, made, name, host, server_mode if name == "server" else "REDIRECT")
        for name, host in (("client", made.client), ("server", made.server)):
            log = made.log(f"{name}-proxy")
            wait_until(lambda host=host: _answers(host, READY), f"the proxy of {name}", log)
        yield made


def _start_pilot(stack: ExitStack, made: Mesh) -> None:
    for name in ("config", "registry"):
        (made.folder / name).mkdir()
    made.set_outbound_policy("ALLOW_ANY")
    pods = registry(made.server, {"client": made.client, "server": made.server})
    (made.folder / "registry" / "pods.yaml").write_text(pods)
    command = [
        *(PYTHON, "-m", "mizzen.pilot", "--xds-address", f"{made.pilot.ipv4}:{XDS_PORT}"),
        *("--monitoring-address", f"127.0.0.1:{MONITORING_PORT}"),
        *("--config-dir", str(made.folder / "config"), "--registry-dir", str(made.folder / "registry")),
        *("--mesh-config", str(made.folder / "mesh.yaml")),
    ]
    stack.enter_context(running(made.pilot, command, made.log("pilot")))
    url = f"http://127.0.0.1:{MONITORING_PORT}/ready"
    wait_until(lambda: _answers(made.pilot, url), "Pilot", made.log("pilot"))


def _start_applications(stack: ExitStack, made: Mesh) -> None:
    for name, host, web in (
        ("server", made.server, WEB),
        ("outside", made.outside, WEB),
        ("outside", made.outside, EXCLUDED_PORT),
        ("outside", made.outside, 80),
    ):
        log = made.log(f"{name}-{web}")
        greeter = GREETER if web == WEB else web + 1
        command = [PYTHON, applications.__file__, name, str(web), str(greeter)]
        stack.enter_context(running(host, command, log))
        wait_until(lambda log=log: "ready" in log.read_text(), f"applications of {name}", log)
    redis = ["redis-server", "--port", str(REDIS), "--bind", "0.0.0.0", "::", "--save", "", "--protected-mode", "no"]
    stack.enter_context(running(made.server, redis, made.log("redis")))
    wait_until(lambda: "Ready to accept" in made.log("redis").read_text(), "Redis", made.log("redis"))


def _start_proxy(stack: ExitStack, made: Mesh, name: str, host: Host, mode: str) -> None:
    log, state = made.log(f"{name}-proxy"), made.folder / f"{name}-state"
    log.touch()
    state.mkdir()
    for path in (log, state):
        os.chown(path, PROXY_UID, PROXY_UID)
    command = [
        *(str(Path(sys.executable).with_name("mizzen-proxy")), "--engine", made.engine, "--name", name),
        *("--labels", f"app={name}", "--interception-mode", mode, "--ip", f"{host.ipv4},{host.ipv6}"),
        *("--discovery-address", f"{made.pilot.ipv4}:{XDS_PORT}"),
        *("--admin-address", "127.0.0.1:15000", "--state-dir", str(state), "--drain-seconds", "1"),
        *("--monitoring-host", "0.0.0.0"),
    ]
    environment = {"PATH": os.environ["PATH"], "HOME": str(state), "ISTIO_KUBE_APP_PROBERS": json.dumps(PROBERS)}
    # For TPROXY it opens transparent sockets, which needs a right; its group alone then tells its traffic apart.
    uid = PROXY_UID if mode == "REDIRECT" else 0
    stack.enter_context(running(host, command, log, uid=uid, gid=PROXY_UID, environment=environment))


def _answers(host: Host, url: str) -> bool:
    return host.attempt("curl", "-fsS", "--max-time", "5", url).returncode == 0
