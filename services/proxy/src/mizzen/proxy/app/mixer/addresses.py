"""Where Mixer listens: the agent's own calls do not go through the workers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from mizzen.proxy.engine.plan import ClusterPlan, EndpointPlan, EndpointSetPlan
from mizzen.proxy.engine.tls_plan import OWN_CERTIFICATE, OWN_ROOTS
from mizzen.proxy.snapshot.store import Store


class Target(NamedTuple):
    """Where a server is, and how it is spoken to."""

    address: str
    """As gRPC takes it."""
    server_name: str = ""
    """Mutual TLS, and the name that the server's certificate must have; empty: plain text."""


class Addresses:
    """gRPC targets of clusters, as of the configuration that the proxy has now."""

    def __init__(self, store: Store, fixed: str) -> None:
        """`fixed` is `host:port` for all clusters, or empty."""
        self._store = store
        self._fixed = fixed

    def target(self, cluster: str) -> Target:
        """The target, of endpoints that take TLS alone where there are such; LookupError says what is missing."""
        if self._fixed:
            return Target(self._fixed)
        plan, endpoints = self.healthy(cluster)
        secure = [endpoint for endpoint in endpoints if plan.sockets.of(endpoint.says) is not None]
        tls = plan.sockets.of(secure[0].says) if secure else None
        if tls is None:
            return Target(_joined(plan, endpoints))
        if tls.common.certificate != OWN_CERTIFICATE or tls.common.roots != OWN_ROOTS or not tls.server_name:
            raise LookupError(f"cluster {cluster} wants other TLS than mutual TLS of the mesh, with a server's name")
        return Target(_joined(plan, secure), tls.server_name)

    def healthy(self, cluster: str) -> tuple[ClusterPlan, list[EndpointPlan]]:
        """The cluster and its endpoints, at least one; LookupError says what is missing."""
        held = self._store.kinds["cluster"].get(cluster)
        plan = held.plan if held is not None else None
        if not isinstance(plan, ClusterPlan):
            raise LookupError(f"cluster {cluster} is not known")
        endpoints = [endpoint for endpoint in self._endpoints(plan).endpoints if endpoint.healthy]
        if not endpoints:
            raise LookupError(f"cluster {cluster} has no endpoint")
        return plan, endpoints

    def _endpoints(self, plan: ClusterPlan) -> EndpointSetPlan:
        if isinstance(plan.endpoint_set, EndpointSetPlan):
            return plan.endpoint_set
        held = self._store.kinds["endpoint_set"].get(plan.endpoint_set)
        found = held.plan if held is not None else None
        return found if isinstance(found, EndpointSetPlan) else EndpointSetPlan(plan.endpoint_set, ())


def _joined(plan: ClusterPlan, endpoints: Sequence[EndpointPlan]) -> str:
    where = sorted({_join(endpoint.address, endpoint.port) for endpoint in endpoints})
    if plan.discovery == "dns":
        return f"dns:///{where[0]}"
    family = "ipv6" if where[0].startswith("[") else "ipv4"
    return f"{family}:{','.join(address for address in where if address.startswith('[') == (family == 'ipv6'))}"


def _join(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
