"""A mesh on Kubernetes: the chart and the demo, on a node of our own, driven by kubectl and helm."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from mizzen.cli.proxydump import endpoint_rows
from mizzen.cli.syncz import sync_rows
from support.kube.cluster import Cluster, Refused
from support.kube.gatewayapi import gateway_api_in
from support.kube.node import Node, node
from support.kube.pods import Row, rows
from support.kube.programs import REPOSITORY
from support.kube.release import Release
from support.mesh import GATEWAY, Finished, Folders, Mesh, eventually, get

NAMESPACE = "istio-system"
DEMO = REPOSITORY / "demo/bookinfo"
DEMO_FILES = ("platform/kube/bookinfo.yaml", "networking/bookinfo-gateway.yaml", "networking/destination-rule-all.yaml")
VALUES = Path(__file__).with_name("values.yaml")
MONITORING_PORT = 15014
ADMIN_PORT = 15000
COMMAND_SECONDS = 60


class KubeMesh(Mesh):
    """Pods. What `mizzen` does on other runtimes is done by what one has on Kubernetes."""

    runtime = "kube"
    proxies = 8

    def __init__(self, home: Path, engine: str) -> None:
        super().__init__(home, engine)
        self._stack = ExitStack()
        self._node: Node | None = None

    @property
    def node(self) -> Node:
        assert self._node is not None, "the mesh is not up"
        return self._node

    @property
    def cluster(self) -> Cluster:
        return self.node.cluster

    def up(self) -> None:
        """As docs/install/kubernetes.md says it, and the demo."""
        assert self.engine == "python", "on Kubernetes, stories are told with Mizzen's proxy alone"
        self._node = self._stack.enter_context(node(self.home / "kube"))
        release = Release(self.cluster, NAMESPACE)
        release.install("--create-namespace", f"--values={VALUES}")
        for deployment in release.get("deployments")["items"]:
            release.wait(deployment["metadata"]["name"])
        self.cluster.kubectl("label", "namespace", "default", "istio-injection=enabled")
        self.cluster.kubectl("apply", *(f"--filename={DEMO / name}" for name in DEMO_FILES))
        self.cluster.kubectl("wait", "--for=condition=available", "deployment", "--all", "--timeout=55s")
        address = release.get("service", "istio-ingressgateway")["spec"]["clusterIP"]
        self.node.machine.forward(GATEWAY[1], address, 80)
        eventually(self._serves, "the page", seconds=30)

    def _serves(self) -> bool:
        try:
            return get("/productpage").status == 200
        except OSError:
            return False

    def mizzen(self, *args: str, stdin: str | None = None) -> Finished:
        """What stands for `mizzen ARGS`: kubectl, pages of Pilot and proxies, or `mizzen` where it needs no mesh."""
        known: dict[str, Callable[[tuple[str, ...], str | None], str]] = {
            "apply": self._apply,
            "delete": partial(self._kubectl, "delete"),
            "get": partial(self._kubectl, "get"),
            "scale": partial(self._kubectl, "scale"),
            "status": self._status,
            "proxy-status": self._proxy_status,
            "proxy-config": self._proxy_config,
            "down": self._down,
        }
        if args[0] == "mixer":
            return self._mixer(args[1:])
        if args[0] not in known:
            return super().mizzen(*args, stdin=stdin)
        try:
            return Finished(0, known[args[0]](args[1:], stdin), "")
        except Refused as refused:
            return Finished(1, "", str(refused))

    def app(self, workload: str) -> str:
        return f"{workload}.app"

    def sidecar(self, workload: str) -> str:
        return f"{workload}.sidecar"

    def log(self, process: str) -> list[str]:
        row = self._row(process)
        return self.node.log(row.namespace, row.pod, row.container).read_text().splitlines()

    def stop(self, workload: str) -> None:
        self.cluster.kubectl("scale", f"deployment/{workload}", "--replicas=0")

    def start(self, workload: str) -> None:
        self.cluster.kubectl("scale", f"deployment/{workload}", "--replicas=1")

    @property
    def visitors(self) -> str:
        return self.node.machine.pods

    @property
    def outside(self) -> str:
        raise NotImplementedError("nothing leads from Pods to this machine")

    def adapters(self) -> Folders:
        raise NotImplementedError("the chart mounts no adapters")

    @contextmanager
    def redis(self) -> Iterator[str]:
        """As a Pod, of the program of this machine."""
        labels = ("--labels=app=redis,sidecar.istio.io/inject=false", "--image=redis", "--port=6379", "--expose")
        self.cluster.kubectl(
            "run", "redis", *labels, "--command", "--", "redis-server", "--save", "", "--bind", "0.0.0.0"
        )
        try:
            self.cluster.kubectl("wait", "--for=condition=Ready", "pod/redis", "--timeout=30s")
            yield "redis.default:6379"
        finally:
            self.cluster.kubectl("delete", "pod/redis", "service/redis")

    def gateway_api(self) -> AbstractContextManager[None]:
        return gateway_api_in(self.cluster)

    def _down(self, args: tuple[str, ...], stdin: str | None) -> str:
        self._stack.close()
        return ""

    def _apply(self, args: tuple[str, ...], stdin: str | None) -> str:
        """Validated first: the API server says of an unknown field neither whose it is nor what would be right."""
        checked = super().mizzen("validate", *args, stdin=stdin)
        if checked.status:
            raise Refused(checked.text)
        return self._kubectl("apply", args, stdin)

    def _kubectl(self, command: str, args: tuple[str, ...], stdin: str | None) -> str:
        return self.cluster.kubectl(command, *args, stdin=stdin)

    def _rows(self) -> list[Row]:
        return rows(self.cluster, NAMESPACE, "default")

    def _row(self, process: str) -> Row:
        return next(row for row in self._rows() if row.name == process)

    def _status(self, args: tuple[str, ...], stdin: str | None) -> str:
        found = self._rows()
        processes = [row.data() for row in found]
        return json.dumps({"processes": processes, "engine": self.engine, "ready": all(row.ready for row in found)})

    def _proxy_status(self, args: tuple[str, ...], stdin: str | None) -> str:
        path = f"services/http:istiod:{MONITORING_PORT}/proxy/debug/syncz"
        text = self.cluster.kubectl("get", f"--raw=/api/v1/namespaces/{NAMESPACE}/{path}")
        return json.dumps(sync_rows(json.loads(text)))

    def _proxy_config(self, args: tuple[str, ...], stdin: str | None) -> str:
        """`endpoints WORKLOAD`, from the proxy's admin address, which only its own Pod can reach."""
        what, workload, *_ = args
        assert what == "endpoints", what
        pid = self._row(self.sidecar(workload)).pid
        url = f"http://127.0.0.1:{ADMIN_PORT}/clusters?format=json"
        return json.dumps(
            endpoint_rows(json.loads(_output("nsenter", f"--target={pid}", "--net", "curl", "-sSf", url)))
        )

    def _mixer(self, args: tuple[str, ...]) -> Finished:
        """The command itself, in the machine: its exit status tells what Mixer said."""
        service: Any = self.cluster.get("service", "istio-policy", "--namespace", NAMESPACE)
        asked = ("--mixer", f"{service['spec']['clusterIP']}:{MONITORING_PORT}")
        return _run(*self.node.machine.command(sys.executable, "-m", "mizzen.cli", "mixer", *args, *asked))


def _output(*command: str) -> str:
    """What a command prints; raises Refused."""
    done = _run(*command)
    if done.status:
        raise Refused(done.text)
    return done.out


def _run(*command: str) -> Finished:
    done = subprocess.run(command, capture_output=True, text=True, timeout=COMMAND_SECONDS, check=False)
    return Finished(done.returncode, done.stdout, done.stderr)
