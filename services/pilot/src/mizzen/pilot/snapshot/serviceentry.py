"""ServiceEntries and WorkloadEntries as services and endpoints of the mesh."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import cast

from mizzen.api import kubernetes as k8s
from mizzen.api import serviceentry as se
from mizzen.api.resource import Resource
from mizzen.api.workloadentry import WorkloadEntry
from mizzen.pilot.base import protocol
from mizzen.pilot.base.labels import labels
from mizzen.pilot.snapshot.kubernetes import Nodes, localities, workload
from mizzen.pilot.snapshot.select import created, exported, of_kind
from mizzen.pilot.snapshot.service import Endpoint, Port, Resolution, Service, ServiceKey

_RESOLUTIONS = {
    se.Resolution.NONE: Resolution.PASSTHROUGH,
    se.Resolution.STATIC: Resolution.STATIC,
    se.Resolution.DNS: Resolution.DNS,
    se.Resolution.DNS_ROUND_ROBIN: Resolution.DNS_ROUND_ROBIN,
    se.Resolution.DYNAMIC_DNS: Resolution.DYNAMIC_DNS,
}


def services_from(resources: Iterable[Resource]) -> Iterator[Service]:
    """One service for each host of each ServiceEntry, oldest first."""
    for entry in of_kind(resources, se.ServiceEntry):
        for host in entry.spec.hosts:
            yield _service(entry, host)


def endpoints_from(
    resources: Iterable[Resource], services: Mapping[ServiceKey, Service]
) -> dict[ServiceKey, list[Endpoint]]:
    """Endpoints of ServiceEntries, and of Kubernetes services that select WorkloadEntries."""
    known = tuple(resources)
    machines = of_kind(known, WorkloadEntry)
    pods = of_kind(known, k8s.Pod)
    nodes = localities(known)
    found: dict[ServiceKey, list[Endpoint]] = {}
    for entry in of_kind(known, se.ServiceEntry):
        for host in entry.spec.hosts:
            service = services.get(ServiceKey(host.lower(), entry.metadata.namespace))
            if service is None or service.kubernetes:
                continue
            ours = found.setdefault(service.key, [])
            ours.extend(_stated(entry, service))
            if entry.spec.workload_selector is not None:
                selector = labels(entry.spec.workload_selector.labels)
                ours.extend(_selected(service, selector, machines, pods, nodes))
    for service in services.values():
        if service.kubernetes and service.selector:
            chosen = list(_selected(service, service.selector, machines, [], nodes))
            if chosen:
                found[service.key] = chosen
    return {key: list(dict.fromkeys(endpoints)) for key, endpoints in found.items()}


def _service(entry: Resource[se.ServiceEntry], host: str) -> Service:
    meta, spec = entry.metadata, entry.spec
    status = cast("se.ServiceEntryStatus | None", entry.status)
    allocated = [a.value for a in status.addresses if a.host in ("", host)] if status else []
    return Service(
        hostname=host.lower(),
        name=meta.name,
        namespace=meta.namespace,
        ports=tuple(Port(p.number, p.name, protocol.parse(p.protocol), p.target_port or p.number) for p in spec.ports),
        addresses=tuple(dict.fromkeys(_single(address) for address in (*spec.addresses, *allocated))),
        resolution=_RESOLUTIONS[spec.resolution],
        external=spec.location is se.Location.MESH_EXTERNAL,
        kubernetes=False,
        export_to=exported(spec.export_to, meta.namespace),
        labels=labels(meta.labels),
        subject_alt_names=spec.subject_alt_names,
        created=created(entry),
        origin=entry.id,
    )


def _stated(entry: Resource[se.ServiceEntry], service: Service) -> Iterator[Endpoint]:
    spec = entry.spec
    for endpoint in spec.endpoints:
        yield from _of_entry(endpoint, service, "", entry.metadata.namespace)
    by_name = service.resolution in (Resolution.DNS, Resolution.DNS_ROUND_ROBIN)
    if by_name and not spec.endpoints and spec.workload_selector is None:
        for port in service.ports:
            yield Endpoint(service.hostname, _number(port), port.name)


def _selected(
    service: Service,
    selector: frozenset[tuple[str, str]],
    machines: Iterable[Resource[WorkloadEntry]],
    pods: Iterable[Resource[k8s.Pod]],
    nodes: Nodes,
) -> Iterator[Endpoint]:
    for machine in machines:
        if machine.metadata.namespace == service.namespace and selector <= _labels_of(machine):
            yield from _of_entry(machine.spec, service, machine.metadata.name, service.namespace, machine)
    for pod in pods:
        behind = workload(pod, nodes)
        status = cast("k8s.PodStatus | None", pod.status)
        if pod.metadata.namespace != service.namespace or not selector <= behind.labels or status is None:
            continue
        if status.pod_ip and status.phase in (k8s.PodPhase.RUNNING, k8s.PodPhase.PENDING):
            for port in service.ports:
                yield Endpoint(
                    address=status.pod_ip,
                    port=_number(port),
                    service_port=port.name,
                    labels=behind.labels,
                    locality=behind.locality,
                    healthy=any(c.type == "Ready" and c.status == "True" for c in status.conditions),
                    workload=behind.name,
                    namespace=behind.namespace,
                    network=behind.network,
                    service_account=behind.service_account,
                )


def _of_entry(
    entry: WorkloadEntry, service: Service, name: str, namespace: str, resource: Resource[WorkloadEntry] | None = None
) -> Iterator[Endpoint]:
    carried = _labels_of(resource) if resource is not None else labels(entry.labels)
    for port in service.ports:
        yield Endpoint(
            address=entry.address,
            port=entry.ports.get(port.name) or _number(port),
            service_port=port.name,
            labels=carried,
            locality=entry.locality,
            weight=entry.weight or 1,
            workload=name,
            namespace=namespace,
            network=entry.network,
            service_account=entry.service_account,
        )


def _labels_of(machine: Resource[WorkloadEntry]) -> frozenset[tuple[str, str]]:
    return labels({**machine.metadata.labels, **machine.spec.labels})


def _single(address: str) -> str:
    """A range of one address is that address."""
    return address.removesuffix("/128" if ":" in address else "/32")


def _number(port: Port) -> int:
    return port.target_port if isinstance(port.target_port, int) and port.target_port else port.number
