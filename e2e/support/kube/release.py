"""The chart as a user installs it."""

from __future__ import annotations

import os
from dataclasses import dataclass

import yaml

from support.kube.cluster import Cluster, Object
from support.kube.programs import CHART

NAME = "mizzen"
HUB, TAG = os.environ.get("MIZZEN_HUB", "mizzen"), os.environ.get("MIZZEN_TAG", "dev")
"""Of the images: those of `make images`."""
IMAGES = ("--set", f"global.hub={HUB},global.tag={TAG}")
CRDS = CHART / "crds"
FROM_ELSEWHERE = frozenset({"Event", "EndpointSlice", "Endpoints", "APIService", "FlowSchema"})
"""Kinds of objects that the cluster makes and forgets by itself."""


@dataclass(frozen=True)
class Release:
    """One in a namespace of a cluster."""

    cluster: Cluster
    namespace: str

    def install(self, *arguments: str) -> str:
        return self._helm("install", NAME, str(CHART), *IMAGES, *arguments)

    def upgrade(self, *arguments: str) -> str:
        return self._helm("upgrade", NAME, str(CHART), *IMAGES, *arguments)

    def rollback(self, revision: int) -> str:
        return self._helm("rollback", NAME, str(revision))

    def uninstall(self) -> str:
        return self._helm("uninstall", NAME, "--ignore-not-found", "--wait")

    def hooks(self) -> list[Object]:
        """Objects of `helm test`."""
        return list(yaml.safe_load_all(self._helm("get", "hooks", NAME)))

    def get(self, *arguments: str) -> Object:
        found: Object = self.cluster.get(*arguments, "--namespace", self.namespace)
        return found

    def wait(self, deployment: str) -> None:
        """Until its Pods are ready."""
        self.cluster.kubectl(
            "rollout", "status", f"deployment/{deployment}", "--timeout=50s", "--namespace", self.namespace
        )

    def _helm(self, *arguments: str) -> str:
        return self.cluster.helm(*arguments, "--namespace", self.namespace)


def image(name: str) -> str:
    """As Pods name it."""
    return f"{HUB}/{name}:{TAG}"


def crd_names() -> set[str]:
    """Of the definitions in the chart."""
    texts = (file.read_text() for file in CRDS.glob("*.yaml"))
    return {crd["metadata"]["name"] for text in texts for crd in yaml.load_all(text, yaml.CSafeLoader)}


def everything(cluster: Cluster) -> set[tuple[str, str, str]]:
    """Kind, namespace and name of every object in the cluster."""
    kinds = cluster.kubectl("api-resources", "--verbs=list", "--output=name").split()
    row = '{range .items[*]}{.kind}{"\\t"}{.metadata.namespace}{"\\t"}{.metadata.name}{"\\n"}{end}'
    text = cluster.kubectl("get", ",".join(kinds), "--all-namespaces", f"--output=jsonpath={row}")
    rows = (line.split("\t") for line in text.splitlines())
    return {(kind, namespace, name) for kind, namespace, name in rows if kind not in FROM_ELSEWHERE}
