"""A mesh on Kubernetes: the chart and the demo, driven by kubectl and helm."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from pathlib import Path

from mizzen.cli.proxydump import endpoint_rows
from mizzen.cli.syncz import sync_rows
from support.kube.cluster import Cluster, Refused
from support.kube.containers import containers_node
from support.kube.gatewayapi import gateway_api_in
from support.kube.given import given
from support.kube.node import node
from support.kube.place import Place
from support.kube.pods import Row, rows
from support.kube.programs import REPOSITORY
from support.kube.release import Release
from support.mesh import GATEWAY, GATEWAY_TLS, Finished, Folders, Mesh, eventually, get

NAMESPACE = "istio-system"
DEMO = REPOSITORY / "demo/bookinfo"
DEMO_FILES = ("platform/kube/bookinfo.yaml", "networking/bookinfo-gateway.yaml", "networking/destination-rule-all.yaml")
VALUES = Path(__file__).with_name("values.yaml")
MONITORING_PORT = 15014
ADMIN_PORT = 15000
INJECTION = "istio-injection"
ENGINES = {
    "python": (),
    "envoy": tuple(
        f"--set={part}.image=proxy-envoy" for part in ("global.proxy", "gateways.ingress", "gateways.egress")
    ),
}
IMAGE = re.compile(r"(image: )(\S+)")
STATUS = re.compile(r"(?:error:|HTTP Error) (\d{3})\b")
"""In the words of curl, and of Python."""


class KubeMesh(Mesh):
    """Pods. What `mizzen` does on other runtimes is done by what one has on Kubernetes."""

    runtime = "kube"
    proxies = 8

    def __init__(self, home: Path, engine: str) -> None:
        super().__init__(home, engine)
        self._stack = ExitStack()
        self._place: Place | None = None

    @property
    def place(self) -> Place:
        assert self._place is not None, "the mesh is not up"
        return self._place

    @property
    def cluster(self) -> Cluster:
        return self.place.cluster

    def up(self) -> None:
        """As docs/install/kubernetes.md says it, and the demo."""
        self._place = self._stack.enter_context(_place(self.home / "kube"))
        if not self.place.cluster.local:
            self._stack.callback(self._remove)
        release = Release(self.cluster, NAMESPACE)
        release.install("--create-namespace", f"--values={VALUES}", *ENGINES[self.engine])
        for deployment in release.get("deployments")["items"]:
            release.wait(deployment["metadata"]["name"])
        self.cluster.kubectl("label", "namespace", "default", f"{INJECTION}=enabled")
        self._demo("apply")
        self.cluster.kubectl("wait", "--for=condition=available", "deployment", "--all", "--timeout=55s")
        for port, there in ((GATEWAY[1], 80), (GATEWAY_TLS[1], 443)):
            self.place.reach(port, NAMESPACE, "istio-ingressgateway", there)
        eventually(self._serves, "the page", seconds=30)

    def _remove(self) -> None:
        """All that `up` made in a cluster that stays."""
        self._demo("delete", "--ignore-not-found")
        self.cluster.kubectl("label", "namespace", "default", f"{INJECTION}-")
        Release(self.cluster, NAMESPACE).uninstall()

    def _demo(self, *command: str) -> None:
        for name in DEMO_FILES:
            text = IMAGE.sub(lambda found: found[1] + self.place.image(found[2]), (DEMO / name).read_text())
            self.cluster.kubectl(*command, "--filename=-", stdin=text)

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
        return self.place.log(self._row(process)).splitlines()

    def incarnation(self, process: str) -> str:
        return next((row.incarnation for row in self._rows() if row.name == process), "")

    def kill(self, process: str) -> None:
        self.place.kill(self._row(process))

    def stop(self, workload: str) -> None:
        self.cluster.kubectl("scale", f"deployment/{workload}", "--replicas=0")

    def start(self, workload: str) -> None:
        self.cluster.kubectl("scale", f"deployment/{workload}", "--replicas=1")

    @property
    def visitors(self) -> str:
        return f"{self._row('ingress-gateway').address}/32"

    def ask_at(self, address: str, port: int, path: str) -> tuple[int, str]:
        """From the Pod of Mixer, which has no sidecar."""
        try:
            return 200, self.place.fetch(self._row("mixer"), f"http://{address}:{port}{path}")
        except Refused as refused:
            status = STATUS.search(str(refused))
            return int(status[1]) if status else 0, ""

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
            "run",
            "redis",
            *labels,
            "--command",
            "--",
            "redis-server",
            "--save",
            "",
            "--bind",
            "0.0.0.0",
            "--protected-mode",
            "no",
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
        """Asked from inside of Pilot's Pod, as `kubectl port-forward` asks: other machines need a token."""
        text = self.place.fetch(self._row("pilot"), f"http://127.0.0.1:{MONITORING_PORT}/debug/syncz")
        return json.dumps(sync_rows(json.loads(text)))

    def _proxy_config(self, args: tuple[str, ...], stdin: str | None) -> str:
        """`endpoints WORKLOAD`, from the proxy's admin address, which only its own Pod can reach."""
        what, workload, *_ = args
        assert what == "endpoints", what
        url = f"http://127.0.0.1:{ADMIN_PORT}/clusters?format=json"
        return json.dumps(endpoint_rows(json.loads(self.place.fetch(self._row(self.sidecar(workload)), url))))

    def _mixer(self, args: tuple[str, ...]) -> Finished:
        """The command itself: its exit status tells what Mixer said."""
        with self.place.tunnel(self._row("mixer"), MONITORING_PORT) as port:
            return super().mizzen("mixer", *args, "--mixer", f"127.0.0.1:{port}")


@contextmanager
def _place(folder: Path) -> Iterator[Place]:
    """That of E2E_KUBECONFIG, else a new one, whose node E2E_NODE tells: `played` or `containers`."""
    kubeconfig, kind = os.environ.get("E2E_KUBECONFIG"), os.environ.get("E2E_NODE", "played")
    with ExitStack() as stack:
        if not kubeconfig and kind == "played":
            yield stack.enter_context(node(folder))
            return
        if not kubeconfig:
            assert kind == "containers", f"E2E_NODE={kind} is unknown; use played or containers"
            kubeconfig = stack.enter_context(containers_node(folder / "node"))
        yield stack.enter_context(given(Path(kubeconfig), folder, NAMESPACE))
