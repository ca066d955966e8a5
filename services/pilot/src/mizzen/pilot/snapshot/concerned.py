"""What a change of endpoints concerns: a few services of many, and the few resources that their endpoints come from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from mizzen.api import kubernetes as k8s
from mizzen.api.resource import Resource, ResourceKey
from mizzen.api.serviceentry import ServiceEntry
from mizzen.pilot.snapshot.kubernetes import SERVICE_NAME, hostname
from mizzen.pilot.snapshot.service import Service, ServiceKey

Resources = Mapping[ResourceKey, Resource]
_FOR_ALL = frozenset({"Node", "WorkloadEntry", "ServiceEntry"})
"""Few, and any endpoint may come from them."""


def services_concerned(
    keys: Iterable[ResourceKey],
    before: Resources,
    after: Resources,
    services: Mapping[ServiceKey, Service],
    suffix: str,
) -> Mapping[ServiceKey, Service]:
    """The services whose endpoints may differ when these resources do, all of kinds that make endpoints."""
    changed = frozenset(keys)
    if any(key.kind in _FOR_ALL for key in changed):
        return services
    pods = {(key.namespace, key.name) for key in changed if key.kind == "Pod"}
    pieces = [key for key in changed if key.kind != "Pod"]
    found = {_behind(known[key], suffix) for known in (before, after) for key in pieces if key in known}
    if pods:
        for resource in after.values():
            if isinstance(resource.spec, ServiceEntry) and resource.spec.workload_selector is not None:
                found.update(ServiceKey(host.lower(), resource.metadata.namespace) for host in resource.spec.hosts)
            elif any(pod in pods for pod in _pods_of(resource)):
                found.add(_behind(resource, suffix))
    return {key: services[key] for key in found if key in services}


def sources(services: Mapping[ServiceKey, Service], resources: Resources, suffix: str) -> tuple[Resource, ...]:
    """The resources that the endpoints of these services come from, and some more."""
    found: list[Resource] = []
    pods: dict[tuple[str, str], None] = {}
    selects = False
    for resource in resources.values():
        spec = resource.spec
        if resource.kind in _FOR_ALL:
            found.append(resource)
            selects = selects or (isinstance(spec, ServiceEntry) and spec.workload_selector is not None)
        elif isinstance(spec, k8s.EndpointSlice | k8s.Endpoints) and _behind(resource, suffix) in services:
            found.append(resource)
            pods.update(dict.fromkeys(_pods_of(resource)))
    if selects:
        return (*found, *(resource for resource in resources.values() if resource.kind == "Pod"))
    keys = (ResourceKey("Pod", namespace, name) for namespace, name in pods)
    return (*found, *(resources[key] for key in keys if key in resources))


def _behind(resource: Resource, suffix: str) -> ServiceKey:
    """The service of an EndpointSlice or Endpoints."""
    meta = resource.metadata
    name = meta.labels.get(SERVICE_NAME, "") if resource.kind == "EndpointSlice" else meta.name
    return ServiceKey(hostname(name, meta.namespace, suffix), meta.namespace)


def _pods_of(resource: Resource) -> Iterator[tuple[str, str]]:
    """Namespaces and names of the Pods that an EndpointSlice or Endpoints refers to; none for other kinds."""
    spec = resource.spec
    references: Iterable[k8s.ObjectReference | None] = ()
    if isinstance(spec, k8s.EndpointSlice):
        references = (endpoint.target_ref for endpoint in spec.endpoints)
    elif isinstance(spec, k8s.Endpoints):
        references = (address.target_ref for subset in spec.subsets for address in _all(subset))
    for reference in references:
        if reference is not None and reference.kind == "Pod":
            yield reference.namespace or resource.metadata.namespace, reference.name


def _all(subset: k8s.EndpointSubset) -> tuple[k8s.EndpointAddress, ...]:
    return (*subset.addresses, *subset.not_ready_addresses)
