"""Where Mixer listens: the agent's own calls do not go through the workers."""

from __future__ import annotations

from mizzen.proxy.engine.plan import ClusterPlan, EndpointPlan, EndpointSetPlan
from mizzen.proxy.snapshot.store import Store


class Addresses:
    """gRPC targets of clusters, as of the configuration that the proxy has now."""

    def __init__(self, store: Store, fixed: str) -> None:
        """`fixed` is `host:port` for all clusters, or empty."""
        self._store = store
        self._fixed = fixed

    def find(self, cluster: str) -> str:
        """The target; LookupError says what is missing."""
        if self._fixed:
            return self._fixed
        plan, endpoints = self._healthy(cluster)
        where = sorted({_join(endpoint.address, endpoint.port) for endpoint in endpoints})
        if plan.discovery == "dns":
            return f"dns:///{where[0]}"
        family = "ipv6" if where[0].startswith("[") else "ipv4"
        return f"{family}:{','.join(address for address in where if address.startswith('[') == (family == 'ipv6'))}"

    def pick(self, cluster: str, point: float) -> tuple[ClusterPlan, EndpointPlan]:
        """It and one of its endpoints, for a point in [0, 1); LookupError says what is missing."""
        plan, endpoints = self._healthy(cluster)
        return plan, endpoints[int(point * len(endpoints))]

    def _healthy(self, cluster: str) -> tuple[ClusterPlan, list[EndpointPlan]]:
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


def _join(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
