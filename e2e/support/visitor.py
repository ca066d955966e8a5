"""Workloads that join a local mesh by hand, with a proxy of either data plane."""

from __future__ import annotations

import http.client
import http.server
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from mizzen.cli.local.home import Home
from mizzen.cli.local.security import TokenIssuer
from support.mesh import Mesh

REGISTERED = """
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: visitor, namespace: default}
spec:
  hosts: [visitor.default.svc.cluster.local]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{number: 9080, name: http, protocol: HTTP}]
  workloadSelector: {labels: {app: visitor}}
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: visitor, namespace: default}
spec:
  address: 127.1.0.200
  serviceAccount: visitor
  labels: {app: visitor, security.istio.io/tlsMode: istio}
"""
PROXY, APPLICATION = "127.1.0.200", "127.2.0.200"


class Application(http.server.BaseHTTPRequestHandler):
    """Answers all with who called."""

    def do_GET(self) -> None:
        body = self.headers.get("x-forwarded-client-cert", "").encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Be quiet."""


@contextmanager
def visiting(mesh: Mesh) -> Iterator[None]:
    """A workload whose proxy is of the other data plane than the mesh's."""
    engine = {"python": "envoy", "envoy": "python"}[mesh.engine]
    application = http.server.ThreadingHTTPServer((APPLICATION, 9080), Application)
    serving = threading.Thread(target=application.serve_forever)
    serving.start()
    try:
        with sidecar(mesh, "visitor", engine, PROXY, APPLICATION):
            yield
    finally:
        application.shutdown()
        application.server_close()
        serving.join()


@contextmanager
def sidecar(mesh: Mesh, name: str, engine: str, address: str, application: str) -> Iterator[None]:
    """The proxy of a workload and ServiceAccount of this name, whose application is at another address."""
    command = [
        *(sys.executable, "-m", "mizzen.proxy", "--engine", engine, "--name", f"{name}-1"),
        *("--labels", f"app={name},security.istio.io/tlsMode=istio", "--state-dir", str(mesh.home / name)),
        *("--bind-address", address, "--app-address", application),
        *TokenIssuer(Home(mesh.home)).flags(f"{name}-1", "default", name),
    ]
    environ = os.environ | {"ISTIO_META_SERVICE_ACCOUNT": name}
    with (mesh.home / "logs" / f"{name}.log").open("wb") as log:
        proxy = subprocess.Popen(command, env=environ, stdout=log, stderr=log)
    try:
        yield
    finally:
        proxy.terminate()
        proxy.wait(20)


def called(sidecar: str, host: str) -> tuple[int, str]:
    """What an application is answered that calls by way of its sidecar; status 0 where nobody answers."""
    connection = http.client.HTTPConnection(sidecar, 15007, timeout=10)
    try:
        connection.request("GET", f"http://{host}:9080/health", headers={"Host": f"{host}:9080"})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    except (OSError, http.client.HTTPException):
        return 0, ""
    finally:
        connection.close()
