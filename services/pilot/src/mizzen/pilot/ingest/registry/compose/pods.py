"""From containers to what the registry says: pods that are ready or not, and the services that they declare."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from mizzen.api.dump import to_dict
from mizzen.api.resource import Resource, ResourceKey
from mizzen.pilot.ingest.registry.compose.container import Container
from mizzen.pilot.ingest.registry.compose.labels import PROXY, ROLE, TLS_MODE, Workload, read_workload
from mizzen.pilot.ingest.registry.objects import Serving, endpoint_slices, pod_object


class Registry:
    """What containers are to the mesh.

    A service that was declared once stays, without endpoints, when its containers are gone: routes to it are then
    answered with "no healthy upstream", and not as if nobody had ever heard of it.
    """

    def __init__(self) -> None:
        self._services: dict[ResourceKey, Resource] = {}
        self.complaints: tuple[str, ...] = ()
        """What is wrong with labels; a container with wrong ones is left out."""

    def update(self, containers: Iterable[Container], stopping: Collection[str]) -> list[dict[str, Any]]:
        """The objects of these containers; `stopping` are ids of those that were told to end."""
        by_id = {container.id: container for container in containers}
        complaints: list[str] = []
        pods: list[Serving] = []
        for container in sorted(by_id.values(), key=lambda item: item.name):
            try:
                workload = read_workload(container.labels)
            except ValueError as error:
                complaints.append(f"container {container.name}: {error}")
                continue
            if workload is None:
                continue
            self._services.update({service.key: service for service in workload.services})
            pod = _pod(container, workload, by_id, stopping)
            if pod.address:
                pods.append(pod)
        self.complaints = tuple(complaints)
        services = [self._services[key] for key in sorted(self._services)]
        return [*map(to_dict, services), *map(pod_object, pods), *endpoint_slices(services, pods)]


def _pod(
    container: Container, workload: Workload, by_id: Mapping[str, Container], stopping: Collection[str]
) -> Serving:
    """The application, its proxy and the owner of their network are one pod, ready when each of them is."""
    owner = by_id.get(container.joins, container)
    members = [owner, *(other for other in by_id.values() if other.joins == owner.id)]
    has_sidecar = any(member.labels.get(ROLE) == PROXY for member in members if member is not container)
    return Serving(
        namespace=workload.namespace,
        name=f"{workload.name}-{container.number}",
        address=owner.address,
        labels=({TLS_MODE: "istio"} if has_sidecar else {}) | dict(workload.labels),
        ready=all(member.running and member.healthy and member.id not in stopping for member in members),
        service_account=workload.service_account,
        deployment=workload.name,
    )
