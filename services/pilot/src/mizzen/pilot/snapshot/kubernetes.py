"""Kubernetes' Services, endpoints and Pods as services and endpoints of the mesh."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from mizzen.api import kubernetes as k8s
from mizzen.api.resource import Resource
from mizzen.pilot.base import protocol
from mizzen.pilot.base.labels import NONE, labels
from mizzen.pilot.snapshot.select import created, exported, of_kind
from mizzen.pilot.snapshot.service import Endpoint, Port, Resolution, Service, ServiceKey

EXPORT_TO = "networking.istio.io/exportTo"
SERVICE_NAME = "kubernetes.io/service-name"
NETWORK = "topology.istio.io/network"
LOCALITY = "istio-locality"
REGION = ("topology.kubernetes.io/region", "failure-domain.beta.kubernetes.io/region")
ZONE = ("topology.kubernetes.io/zone", "failure-domain.beta.kubernetes.io/zone")
SUBZONE = "topology.istio.io/subzone"


class Workload(NamedTuple):
    """What an endpoint inherits from the Pod behind it."""

    name: str = ""
    namespace: str = ""
    labels: frozenset[tuple[str, str]] = NONE
    locality: str = ""
    network: str = ""
    service_account: str = ""


UNKNOWN = Workload()
Pods = Mapping[tuple[str, str], Workload]
Nodes = Mapping[str, str]
"""Localities by the name of the node."""


def hostname(name: str, namespace: str, suffix: str) -> str:
    """The full DNS name of a Service."""
    return f"{name}.{namespace}.svc.{suffix}"


def services_from(resources: Iterable[Resource], suffix: str) -> Iterator[Service]:
    """Every Service resource as a service, oldest first."""
    for resource in of_kind(resources, k8s.Service):
        yield _service(resource, suffix)


def endpoints_from(
    resources: Iterable[Resource], services: Mapping[ServiceKey, Service], suffix: str
) -> dict[ServiceKey, list[Endpoint]]:
    """Endpoints of Kubernetes services, from EndpointSlices; from Endpoints where a service has no slice."""
    known = tuple(resources)
    nodes = localities(known)
    pods = workloads(known, nodes)
    found: dict[ServiceKey, list[Endpoint]] = {}
    for piece in of_kind(known, k8s.EndpointSlice):
        name = piece.metadata.labels.get(SERVICE_NAME, "")
        service = services.get(ServiceKey(hostname(name, piece.metadata.namespace, suffix), piece.metadata.namespace))
        if service is not None:
            found.setdefault(service.key, []).extend(_of_slice(piece, service, pods, nodes))
    for whole in of_kind(known, k8s.Endpoints):
        namespace = whole.metadata.namespace
        service = services.get(ServiceKey(hostname(whole.metadata.name, namespace, suffix), namespace))
        if service is not None and service.key not in found:
            found[service.key] = list(_of_endpoints(whole, service, pods, nodes))
    for service in services.values():
        if service.external_name:
            found[service.key] = [Endpoint(service.external_name, port.number, port.name) for port in service.ports]
    return {key: list(dict.fromkeys(endpoints)) for key, endpoints in found.items()}


def workloads(resources: Iterable[Resource], nodes: Nodes) -> Pods:
    """Pods by (namespace, name), as far as endpoints need them."""
    return {(pod.metadata.namespace, pod.metadata.name): workload(pod, nodes) for pod in of_kind(resources, k8s.Pod)}


def localities(resources: Iterable[Resource]) -> Nodes:
    """Where each Node stands, as region/zone/subzone; Nodes without any of these labels are left out."""
    found = {}
    for node in of_kind(resources, k8s.Node):
        stated = node.metadata.labels
        parts = (_first(stated, REGION), _first(stated, ZONE), stated.get(SUBZONE, ""))
        if any(parts):
            found[node.metadata.name] = "/".join(parts).rstrip("/")
    return found


def _first(stated: Mapping[str, str], keys: Iterable[str]) -> str:
    return next((stated[key] for key in keys if stated.get(key)), "")


def workload(pod: Resource[k8s.Pod], nodes: Nodes) -> Workload:
    """What an endpoint inherits from a Pod; the Pod's own label for its locality goes before its Node's."""
    meta = pod.metadata
    owner = next(iter(meta.owner_references), None)
    name = meta.name
    if owner is not None:
        name = owner.name.rpartition("-")[0] if owner.kind == "ReplicaSet" else owner.name
    return Workload(
        name=name or meta.name,
        namespace=meta.namespace,
        labels=labels(meta.labels),
        locality=meta.labels.get(LOCALITY, "").replace(".", "/") or nodes.get(pod.spec.node_name, ""),
        network=meta.labels.get(NETWORK, ""),
        service_account=pod.spec.service_account_name,
    )


def _service(resource: Resource[k8s.Service], suffix: str) -> Service:
    meta, spec = resource.metadata, resource.spec
    external = spec.external_name if spec.type is k8s.ServiceType.EXTERNAL_NAME else ""
    headless = spec.cluster_ip == "None"
    resolution = Resolution.DNS if external else Resolution.PASSTHROUGH if headless else Resolution.STATIC
    addresses = dict.fromkeys(ip for ip in (spec.cluster_ip, *spec.cluster_ips) if _is_ip(ip))
    annotation = meta.annotations.get(EXPORT_TO, "")
    return Service(
        hostname=hostname(meta.name, meta.namespace, suffix),
        name=meta.name,
        namespace=meta.namespace,
        ports=tuple(_port(port) for port in spec.ports),
        addresses=tuple(addresses),
        resolution=resolution,
        headless=headless,
        external=bool(external),
        external_name=external,
        export_to=exported((part.strip() for part in annotation.split(",") if part.strip()), meta.namespace),
        selector=labels(spec.selector),
        labels=labels(meta.labels),
        publish_not_ready=spec.publish_not_ready_addresses,
        created=created(resource),
        origin=resource.id,
    )


def _port(port: k8s.ServicePort) -> Port:
    chosen = protocol.select(port.port, port.name, port.protocol.value, port.app_protocol)
    return Port(port.port, port.name, chosen, port.target_port or port.port)


def _of_slice(piece: Resource[k8s.EndpointSlice], service: Service, pods: Pods, nodes: Nodes) -> Iterator[Endpoint]:
    for endpoint in piece.spec.endpoints:
        state = endpoint.conditions
        if state.terminating:
            continue
        healthy = state.ready is not False or service.publish_not_ready
        behind = _behind(endpoint.target_ref, piece.metadata.namespace, pods)
        locality = nodes.get(endpoint.node_name, "") or (f"/{endpoint.zone}" if endpoint.zone else "")
        for address in endpoint.addresses:
            for port in piece.spec.ports:
                yield from _endpoint(address, port, healthy, behind, locality)


def _of_endpoints(whole: Resource[k8s.Endpoints], service: Service, pods: Pods, nodes: Nodes) -> Iterator[Endpoint]:
    for subset in whole.spec.subsets:
        groups = ((subset.addresses, True), (subset.not_ready_addresses, service.publish_not_ready))
        for addresses, healthy in groups:
            for address in addresses:
                behind = _behind(address.target_ref, whole.metadata.namespace, pods)
                for port in subset.ports:
                    yield from _endpoint(address.ip, port, healthy, behind, nodes.get(address.node_name, ""))


def _endpoint(
    address: str, port: k8s.EndpointPort, healthy: bool, behind: Workload, locality: str
) -> Iterator[Endpoint]:
    if port.port is None:
        return
    yield Endpoint(
        address=address,
        port=port.port,
        service_port=port.name,
        labels=behind.labels,
        locality=behind.locality or locality,
        healthy=healthy,
        workload=behind.name,
        namespace=behind.namespace,
        network=behind.network,
        service_account=behind.service_account,
    )


def _behind(reference: k8s.ObjectReference | None, namespace: str, pods: Pods) -> Workload:
    if reference is None or reference.kind != "Pod":
        return UNKNOWN
    return pods.get((reference.namespace or namespace, reference.name), UNKNOWN)


def _is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
