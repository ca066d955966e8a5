"""The definitions of the Gateway API, which are the cluster's and not the chart's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from support.kube.cluster import Cluster
from support.kube.programs import gateway_api


@contextmanager
def gateway_api_in(cluster: Cluster) -> Iterator[None]:
    """The cluster has them meanwhile; where it had them before, they are left as they are."""
    if cluster.names("customresourcedefinitions", "--ignore-not-found", "gateways.gateway.networking.k8s.io"):
        yield
        return
    files = f"--filename={gateway_api()}"
    cluster.kubectl("apply", "--server-side", files)
    try:
        cluster.kubectl("wait", "--for=condition=established", "--timeout=30s", files)
        yield
    finally:
        cluster.kubectl("delete", files)
