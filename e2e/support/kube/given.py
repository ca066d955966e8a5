"""The cluster of E2E_KUBECONFIG as a place of a mesh."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from mizzen.runtime.address import unused_port
from support.kube.cluster import Cluster, Refused
from support.kube.local import listens
from support.kube.pods import Row
from support.kube.process import Process
from support.kube.programs import program
from support.kube.release import crd_names, image

FORWARD_AGAIN = 'while :; do "$0" "$@" </dev/null; sleep 0.2; done'
"""kubectl ends a port-forward when the Pod that it chose goes away."""
FETCH = "import sys, urllib.request as r; sys.stdout.write(r.urlopen(sys.argv[1], timeout=10).read().decode())"


@dataclass(frozen=True)
class Given:
    """It, and what ends with the mesh."""

    cluster: Cluster
    folder: Path
    stack: ExitStack

    def image(self, reference: str) -> str:
        return image(reference.rpartition("/")[2].partition(":")[0])

    def reach(self, port: int, namespace: str, service: str, there: int) -> None:
        self.stack.callback(self._forward(port, namespace, f"service/{service}", there).end)

    @contextmanager
    def tunnel(self, container: Row, there: int) -> Iterator[int]:
        port = unused_port()
        process = self._forward(port, container.namespace, f"pod/{container.pod}", there)
        try:
            process.wait(lambda: listens(port))
            yield port
        finally:
            process.end()

    def _forward(self, port: int, namespace: str, what: str, there: int) -> Process:
        kubectl = [program("kubectl"), f"--kubeconfig={self.cluster.kubeconfig}", f"--namespace={namespace}"]
        command = ["sh", "-c", FORWARD_AGAIN, *kubectl, "port-forward", what, f"{port}:{there}"]
        return Process(command, self.folder / f"forward-{port}.log")

    def log(self, container: Row) -> str:
        asked = ("logs", f"--namespace={container.namespace}", container.pod, f"--container={container.container}")
        before = ""
        if container.restarts:
            with suppress(Refused):  # it may be gone
                before = self.cluster.kubectl(*asked, "--previous")
        return before + self.cluster.kubectl(*asked)

    def fetch(self, container: Row, url: str) -> str:
        pod = (f"--namespace={container.namespace}", container.pod, f"--container={container.container}")
        return self.cluster.kubectl("exec", *pod, "--", "python3", "-c", FETCH, url)

    def kill(self, container: Row) -> None:
        """Its whole Pod: nobody outside of a node can kill a process there."""
        self.cluster.kubectl(
            "delete", "pod", container.pod, f"--namespace={container.namespace}", "--grace-period=0", "--force"
        )


@contextmanager
def given(kubeconfig: Path, folder: Path, namespace: str) -> Iterator[Given]:
    """A cluster without a mesh, which is without one again afterwards."""
    folder.mkdir(parents=True, exist_ok=True)
    own = folder / "kubeconfig"
    own.write_bytes(kubeconfig.read_bytes())
    own.chmod(0o600)
    cluster = Cluster(own, local=False)
    there = cluster.names("customresourcedefinitions") & {
        f"customresourcedefinition.apiextensions.k8s.io/{name}" for name in crd_names()
    }
    assert not there, f"{kubeconfig}: a mesh is installed in this cluster already: {', '.join(sorted(there))}"
    with ExitStack() as stack:
        stack.callback(_remove, cluster, namespace)
        yield Given(cluster, folder, stack)


def _remove(cluster: Cluster, namespace: str) -> None:
    """What `helm uninstall` leaves. Objects of a kind go with its definition."""
    cluster.kubectl("delete", "namespace", namespace, "--ignore-not-found")
    cluster.kubectl("delete", "customresourcedefinitions", *sorted(crd_names()), "--ignore-not-found")
