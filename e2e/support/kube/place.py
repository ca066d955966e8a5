"""Where a mesh on Kubernetes is: on the node of these tests, or on a cluster that was given."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol

from support.kube.cluster import Cluster
from support.kube.pods import Row


class Place(Protocol):
    """What differs between them."""

    cluster: Cluster

    def image(self, reference: str) -> str:
        """By what name an image of the demo's manifests is known there."""
        ...

    def reach(self, port: int, namespace: str, service: str, there: int) -> None:
        """Have 127.0.0.1:port of this machine lead to a Service, until the end of the mesh."""
        ...

    def tunnel(self, container: Row, there: int) -> AbstractContextManager[int]:
        """A port of 127.0.0.1 that leads to the own loopback of its Pod, as `kubectl port-forward` does."""
        ...

    def log(self, container: Row) -> str:
        """What it wrote, also before it was started anew."""
        ...

    def fetch(self, container: Row, url: str) -> str:
        """The body of GET from inside of its Pod; raises Refused."""
        ...

    def kill(self, container: Row) -> None:
        """End it as a crash does."""
        ...
