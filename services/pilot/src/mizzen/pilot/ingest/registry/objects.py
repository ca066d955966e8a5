"""From pods to the Pod and EndpointSlice objects that Pilot reads (the endpoints controller of Kubernetes)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from mizzen.api.kubernetes import Service, ServicePort
from mizzen.api.resource import Resource

SERVICE_NAME_LABEL = "kubernetes.io/service-name"


@dataclass(frozen=True, slots=True)
class Serving:
    """A pod as the rest of the mesh sees it."""

    namespace: str
    name: str
    address: str
    labels: Mapping[str, str] = field(default_factory=dict)
    ready: bool = False
    service_account: str = "default"
    deployment: str = ""
    """What runs it, which metrics name as its workload; empty for a pod that nothing runs."""
    named_ports: Mapping[str, int] = field(default_factory=dict)
    """Ports that its containers declare with a name, which a Service's targetPort may use."""


def pod_object(pod: Serving) -> dict[str, Any]:
    """The Pod as in Kubernetes' API, as far as a mesh reads it."""
    # In Kubernetes a ReplicaSet stands between the two, which readers of a pod look through.
    owner = {"apiVersion": "apps/v1", "kind": "Deployment", "name": pod.deployment, "controller": True}
    condition = {"type": "Ready", "status": "True" if pod.ready else "False"}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": pod.name,
            "namespace": pod.namespace,
            "labels": dict(pod.labels),
            **({"ownerReferences": [owner]} if pod.deployment else {}),
        },
        "spec": {"serviceAccountName": pod.service_account, "nodeName": "local"},
        "status": {"phase": "Running", "podIP": pod.address, "conditions": [condition]},
    }


def endpoint_slices(services: Iterable[Resource], pods: Iterable[Serving]) -> list[dict[str, Any]]:
    """The EndpointSlices of all Services with a selector, in a stable order.

    A pod belongs to a Service of its namespace whose whole selector its labels carry. Only ready pods are listed:
    one that is leaving must get no new request. Pods that resolve a named targetPort differently go to slices of
    their own, as in Kubernetes; a pod that lacks the name is left out of that port.
    """
    by_namespace: dict[str, list[Serving]] = defaultdict(list)
    for pod in pods:
        by_namespace[pod.namespace].append(pod)
    slices: list[dict[str, Any]] = []
    for resource in sorted(services, key=lambda service: service.key):
        if not isinstance(resource.spec, Service) or not resource.spec.selector:
            continue
        selected = [
            pod
            for pod in sorted(by_namespace[resource.metadata.namespace], key=lambda pod: pod.name)
            if (pod.ready or resource.spec.publish_not_ready_addresses)
            and resource.spec.selector.items() <= pod.labels.items()
        ]
        slices.extend(_slices_of(resource, resource.spec, selected))
    return slices


def _slices_of(resource: Resource, service: Service, pods: Iterable[Serving]) -> list[dict[str, Any]]:
    groups: dict[tuple[tuple[str, int, str], ...], list[Serving]] = defaultdict(list)
    for pod in pods:
        ports = tuple(
            (port.name, number, str(port.protocol))
            for port in service.ports
            if (number := _target(port, pod)) is not None
        )
        if ports:
            groups[ports].append(pod)
    return [
        _slice(resource, number, ports, members) for number, (ports, members) in enumerate(sorted(groups.items()), 1)
    ]


def _target(port: ServicePort, pod: Serving) -> int | None:
    target = port.target_port if port.target_port is not None else port.port
    return pod.named_ports.get(target) if isinstance(target, str) else target


def _slice(
    resource: Resource, number: int, ports: tuple[tuple[str, int, str], ...], pods: Iterable[Serving]
) -> dict[str, Any]:
    service = resource.metadata
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": f"{service.name}-{number}",
            "namespace": service.namespace,
            "labels": {SERVICE_NAME_LABEL: service.name},
        },
        "addressType": "IPv4",
        "ports": [{"name": name, "port": target, "protocol": protocol} for name, target, protocol in ports],
        "endpoints": [
            {
                "addresses": [pod.address],
                "conditions": {"ready": pod.ready},
                "targetRef": {"kind": "Pod", "namespace": pod.namespace, "name": pod.name},
            }
            for pod in pods
        ],
    }
