"""etcd, kube-apiserver and kube-controller-manager on loopback; no kubelet, so Pods are made but do not run."""

from __future__ import annotations

import json
import socket
import ssl
from contextlib import ExitStack
from http.client import HTTPException, HTTPSConnection
from pathlib import Path

from kube.harness.certificates import Authority
from kube.harness.process import Process
from kube.harness.programs import program

from mizzen.runtime.address import unused_port

SERVICES = "127.96.0.0/16"
"""Addresses of Services: of loopback, so that a process of a test can stand at one, and none leaves the machine."""


def start(folder: Path, stack: ExitStack) -> Path:
    """The kubeconfig of an administrator; `stack` ends the processes."""
    folder.mkdir(parents=True, exist_ok=True)
    authority = Authority(folder)
    port = unused_port()
    tokens = authority.key_pair("tokens")
    server = _run(stack, _api_server(folder, authority, port, _etcd(folder, stack), tokens), folder)
    server.wait(lambda: _answers(port, "/readyz", authority))
    own, manager_port = _kubeconfig(folder, authority, port, "system:kube-controller-manager"), unused_port()
    manager = _run(stack, _controller_manager(authority, own, tokens[0], manager_port), folder)
    manager.wait(lambda: _answers(manager_port, "/healthz"))
    return _kubeconfig(folder, authority, port, "administrator", "system:masters")


def _run(stack: ExitStack, command: list[str], folder: Path) -> Process:
    process = Process(command, folder / f"{Path(command[0]).name}.log")
    stack.callback(process.end)
    return process


def _etcd(folder: Path, stack: ExitStack) -> str:
    clients, peers = (f"http://127.0.0.1:{unused_port()}" for _ in range(2))
    command = [
        program("etcd"),
        f"--data-dir={folder / 'etcd'}",
        f"--listen-client-urls={clients}",
        f"--advertise-client-urls={clients}",
        f"--listen-peer-urls={peers}",
        "--unsafe-no-fsync",
    ]
    _run(stack, command, folder).wait(lambda: _listens(int(clients.rpartition(":")[2])))
    return clients


def _api_server(folder: Path, authority: Authority, port: int, etcd: str, tokens: tuple[str, str]) -> list[str]:
    certificate, key = authority.server("kube-apiserver")
    return [
        program("kube-apiserver"),
        f"--etcd-servers={etcd}",
        "--bind-address=127.0.0.1",
        f"--secure-port={port}",
        f"--tls-cert-file={certificate}",
        f"--tls-private-key-file={key}",
        f"--cert-dir={folder}",
        f"--client-ca-file={authority.file}",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-signing-key-file={tokens[0]}",
        f"--service-account-key-file={tokens[1]}",
        "--authorization-mode=Node,RBAC",
        f"--service-cluster-ip-range={SERVICES}",
        "--endpoint-reconciler-type=none",
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
        "--use-service-account-credentials",
        f"--service-account-private-key-file={token_key}",
        f"--root-ca-file={authority.file}",
        "--leader-elect=false",
    ]


def _kubeconfig(folder: Path, authority: Authority, port: int, user: str, *groups: str) -> Path:
    certificate, key = authority.client(user, *groups)
    cluster = {"server": f"https://127.0.0.1:{port}", "certificate-authority": authority.file}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "e2e", "cluster": cluster}],
        "users": [{"name": "user", "user": {"client-certificate": certificate, "client-key": key}}],
        "contexts": [{"name": "e2e", "context": {"cluster": "e2e", "user": "user"}}],
        "current-context": "e2e",
    }
    path = folder / f"{user.replace(':', '-')}.kubeconfig"
    path.write_text(json.dumps(config))
    return path


def _listens(port: int) -> bool:
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
