"""What runs in a mesh on Kubernetes, as `mizzen status` tells it on other runtimes: a row for each container."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from support.kube.cluster import Cluster, Object

PROXY = "istio-proxy"


@dataclass(frozen=True)
class Row:
    """One container that goes on."""

    name: str
    """`pilot`, `mixer` and so on; `reviews-v2.app` and `reviews-v2.sidecar`."""
    namespace: str
    pod: str
    container: str
    state: str
    address: str
    incarnation: str
    """Another one after every start; empty before the first."""
    restarts: int
    ready: bool

    @property
    def pid(self) -> int:
        """On the node of these tests, whose containers are processes of this machine."""
        return int(self.incarnation.removeprefix("process://"))

    def data(self) -> dict[str, Any]:
        return asdict(self)


def rows(cluster: Cluster, *namespaces: str) -> list[Row]:
    """Of all Pods in these that are not on their way out."""
    found = []
    for namespace in namespaces:
        for pod in cluster.get("pods", "--namespace", namespace)["items"]:
            if "deletionTimestamp" not in pod["metadata"]:
                found += [_row(pod, status) for status in _going_on(pod)]
    return found


def workload(pod: Object) -> str:
    """`reviews-v2`, or the component of Mizzen that it is."""
    labels = pod["metadata"]["labels"]
    if "app.kubernetes.io/component" in labels:
        return str(labels["app.kubernetes.io/component"])
    return f"{labels['app']}-{labels.get('version', '')}"


def _going_on(pod: Object) -> list[Object]:
    sidecars = {each["name"] for each in pod["spec"].get("initContainers", ()) if each.get("restartPolicy") == "Always"}
    status = pod["status"]
    own: list[Object] = status.get("containerStatuses", [])
    return own + [each for each in status.get("initContainerStatuses", ()) if each["name"] in sidecars]


def _row(pod: Object, status: Object) -> Row:
    name = workload(pod)
    if "app.kubernetes.io/component" not in pod["metadata"]["labels"]:
        name += ".sidecar" if status["name"] == PROXY else ".app"
    return Row(
        name=name,
        namespace=pod["metadata"]["namespace"],
        pod=pod["metadata"]["name"],
        container=status["name"],
        state=next(iter(status["state"])),
        address=pod["status"].get("podIP", ""),
        incarnation=status.get("containerID", "") if "running" in status["state"] else "",
        restarts=status["restartCount"],
        ready=status["ready"],
    )
