"""etcd, kube-apiserver and kube-controller-manager; no kubelet, so Pods are made but do not run.

`found` and `run_api_server` are for tests that need no controllers, or an API server that stops and starts again.
"""

from __future__ import annotations

import json
import socket
import ssl
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from http.client import HTTPException, HTTPSConnection
from ipaddress import IPv4Network
from pathlib import Path

from mizzen.runtime.address import unused_port
from support.kube.certificates import Authority
from support.kube.process import Process
from support.kube.programs import program
from support.kube.site import Loopback, Site

KUBERNETES = ("kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local")


@dataclass(frozen=True)
class ControlPlane:
    """What others need to join it."""

    folder: Path
    authority: Authority
    port: int
    """Of the API server, on 127.0.0.1 of its machine and of this one."""
    etcd: str
    """The URL of its clients."""
    tokens: tuple[str, str]
    """The files with the private and the public key of ServiceAccounts' tokens."""

    def kubeconfig(self, user: str, *groups: str) -> Path:
        """A new one, of a user whom the API server knows by a certificate."""
        certificate, key = self.authority.client(user, *groups)
        path = self.folder / f"{user.replace(':', '-')}.kubeconfig"
        return self.write_kubeconfig(path, {"client-certificate": certificate, "client-key": key}, self.port)

    def write_kubeconfig(self, path: Path, login: Mapping[str, str], port: int) -> Path:
        """One with that way to log in, by a port of 127.0.0.1 that leads to the API server."""
        cluster = {"server": f"https://127.0.0.1:{port}", "certificate-authority": self.authority.file}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "e2e", "cluster": cluster}],
            "users": [{"name": "user", "user": dict(login)}],
            "contexts": [{"name": "e2e", "context": {"cluster": "e2e", "user": "user"}}],
            "current-context": "e2e",
        }
        path.write_text(json.dumps(config))
        return path


def start(folder: Path, stack: ExitStack) -> Path:
    """One on loopback: the kubeconfig of an administrator; `stack` ends the processes."""
    return start_control_plane(folder, stack, Loopback()).kubeconfig("administrator", "system:masters")


def start_control_plane(folder: Path, stack: ExitStack, site: Site) -> ControlPlane:
    """One there; `stack` ends the processes."""
    plane, manager_port = found(folder, stack, site), unused_port()
    run_api_server(plane, stack, site)
    site.expose(manager_port)
    own = plane.kubeconfig("system:kube-controller-manager")
    manager = _run(stack, site, _controller_manager(plane.authority, own, plane.tokens[0], manager_port), folder)
    manager.wait(lambda: _answers(manager_port, "/healthz"))
    return plane


def found(folder: Path, stack: ExitStack, site: Site) -> ControlPlane:
    """What outlives an API server: etcd, keys and the port; `stack` ends etcd."""
    folder.mkdir(parents=True, exist_ok=True)
    authority = Authority(folder)
    plane = ControlPlane(folder, authority, unused_port(), _etcd(folder, stack, site), authority.key_pair("tokens"))
    site.expose(plane.port)
    return plane


def run_api_server(plane: ControlPlane, stack: ExitStack, site: Site, *options: str) -> Process:
    """Run one until it is ready, with further options; `stack` ends it at the latest."""
    server = _run(stack, site, [*_api_server(plane, site), *options], plane.folder)
    server.wait(lambda: _answers(plane.port, "/readyz", plane.authority))
    return server


def _run(stack: ExitStack, site: Site, command: list[str], folder: Path) -> Process:
    process = Process(site.command(*command), folder / f"{Path(command[0]).name}.log")
    stack.callback(process.end)
    return process


def _etcd(folder: Path, stack: ExitStack, site: Site) -> str:
    clients, peers = (f"http://127.0.0.1:{unused_port()}" for _ in range(2))
    command = [
        program("etcd"),
        f"--data-dir={folder / 'etcd'}",
        f"--listen-client-urls={clients}",
        f"--advertise-client-urls={clients}",
        f"--listen-peer-urls={peers}",
        "--unsafe-no-fsync",
    ]
    port = int(clients.rpartition(":")[2])
    site.expose(port)
    _run(stack, site, command, folder).wait(lambda: listens(port))
    return clients


def _api_server(plane: ControlPlane, site: Site) -> list[str]:
    first = str(IPv4Network(site.services)[1])
    certificate, key = plane.authority.server("kube-apiserver", *KUBERNETES, site.address, first)
    # Where Pods run, they reach it at the address of the Service `kubernetes`.
    known = (f"--advertise-address={site.address}", "--endpoint-reconciler-type=lease")
    asks, asks_with = plane.authority.client("kube-apiserver-kubelet-client", "system:masters")
    alone = (f"--bind-address={site.address}", "--endpoint-reconciler-type=none")
    return [
        program("kube-apiserver"),
        f"--etcd-servers={plane.etcd}",
        *(alone if site.address == Loopback.address else known),
        f"--secure-port={plane.port}",
        f"--tls-cert-file={certificate}",
        f"--tls-private-key-file={key}",
        f"--cert-dir={plane.folder}",
        f"--kubelet-client-certificate={asks}",
        f"--kubelet-client-key={asks_with}",
        "--kubelet-preferred-address-types=InternalIP",
        f"--client-ca-file={plane.authority.file}",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-signing-key-file={plane.tokens[0]}",
        f"--service-account-key-file={plane.tokens[1]}",
        "--authorization-mode=Node,RBAC",
        f"--service-cluster-ip-range={site.services}",
    ]


def _controller_manager(authority: Authority, kubeconfig: Path, token_key: str, port: int) -> list[str]:
    certificate, key = authority.server("kube-controller-manager")
    return [
        program("kube-controller-manager"),
        f"--kubeconfig={kubeconfig}",
        "--bind-address=127.0.0.1",
        f"--secure-port={port}",
        f"--tls-cert-file={certificate}",
        f"--tls-private-key-file={key}",
        "--node-monitor-period=1s",
        "--use-service-account-credentials",
        f"--service-account-private-key-file={token_key}",
        f"--root-ca-file={authority.file}",
        "--leader-elect=false",
    ]


def listens(port: int) -> bool:
    """Whether something does, on 127.0.0.1."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def _answers(port: int, path: str, authority: Authority | None = None) -> bool:
    """Whether GET is answered with 200. Health is told to everybody."""
    context = ssl.create_default_context(cafile=authority.file if authority else None)
    if authority is None:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    connection = HTTPSConnection("127.0.0.1", port, timeout=5, context=context)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()
