"""Resources to Mesh."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType

from mizzen.api.destinationrule import DestinationRule
from mizzen.api.gateway import Gateway
from mizzen.api.problem import Problem
from mizzen.api.resource import Resource, ResourceKey
from mizzen.api.security import AuthorizationPolicy, PeerAuthentication, RequestAuthentication
from mizzen.api.sidecar import Sidecar
from mizzen.api.virtualservice import VirtualService
from mizzen.pilot.base.keysource import KeySource
from mizzen.pilot.base.meshconfig import MeshConfig
from mizzen.pilot.base.registry import RegistrySnapshot
from mizzen.pilot.snapshot import (
    delegates,
    destinationrule,
    kubernetes,
    serviceentry,
)
from mizzen.pilot.snapshot.concerned import services_concerned, sources
from mizzen.pilot.snapshot.findings import findings
from mizzen.pilot.snapshot.gatewayapi.translate import Translation, translate
from mizzen.pilot.snapshot.legacy.translation import translate as translate_legacy
from mizzen.pilot.snapshot.mesh import Mesh
from mizzen.pilot.snapshot.peerauth import PeerAuthentications
from mizzen.pilot.snapshot.policy import policy_of
from mizzen.pilot.snapshot.select import of_kind
from mizzen.pilot.snapshot.service import Endpoint, Resolution, Service, ServiceKey, by_namespace
from mizzen.pilot.snapshot.staging import begun
from mizzen.pilot.snapshot.virtualservice import Routing, routing

ENDPOINT_KINDS = frozenset({"EndpointSlice", "Endpoints", "Pod", "Node", "WorkloadEntry"})
"""A change of nothing but these needs only `refresh_endpoints`."""


def build(
    config: Iterable[Resource],
    registry: RegistrySnapshot,
    previous: Mesh | None,
    version: str,
    settings: MeshConfig | None = None,
    keys: Mapping[KeySource, str] | None = None,
) -> Mesh:
    """The mesh of these resources; never raises for what a user wrote, see `Mesh.problems`.

    What did not change since `previous` is taken over from it, so that caches recognise it at a glance.
    """
    keys = keys if keys is not None else (previous.keys if previous is not None else {})
    settings = settings or (previous.settings if previous is not None else MeshConfig())
    resources = _indexed(config, registry, previous)
    problems: list[Problem] = []
    known = tuple(resources.values())
    services = _services(known, settings, previous, problems)
    rules = of_kind(known, DestinationRule)
    by_key = {service.key: service for service in services}
    old = previous.translation if previous is not None else Translation()
    translation = translate(known, by_key, settings.domain_suffix, old)
    legacy = translate_legacy(known, by_namespace(services), settings)
    problems += legacy.problems
    mesh = Mesh(
        version=version,
        settings=settings,
        services=services,
        endpoints=_endpoints(known, services, settings, previous),
        routings=(*_routings(known, settings, previous, problems), *translation.routings),
        rules=destinationrule.index(rules, settings.domain_suffix, settings.root_namespace, problems),
        gateways=(*of_kind(known, Gateway), *translation.gateways),
        sidecars=tuple(of_kind(known, Sidecar)),
        peers=PeerAuthentications((*of_kind(known, PeerAuthentication), *legacy.peers), settings.root_namespace),
        authorization=(*of_kind(known, AuthorizationPolicy), *legacy.authorization),
        authentication=(*of_kind(known, RequestAuthentication), *legacy.authentication),
        keys=keys,
        translation=translation,
        policy=policy_of(known, settings.domain_suffix, problems),
        resources=resources,
    )
    mesh = replace(mesh, problems=(*problems, *findings(mesh)))
    steps = begun(previous, mesh) if previous is not None else {}
    return replace(mesh, staging=MappingProxyType(dict(steps))) if steps else mesh


def refresh_endpoints(
    keys: Collection[ResourceKey], known: Mapping[ResourceKey, Resource], previous: Mesh, version: str
) -> Mesh:
    """`previous` with today's endpoints, where nothing but these resources, all of ENDPOINT_KINDS, changed since.

    It costs what the services concerned do, however many others there are.
    """
    resources = {key: resource for key, resource in previous.resources.items() if key not in keys}
    resources |= {key: known[key] for key in keys if key in known}
    suffix = previous.settings.domain_suffix
    services = services_concerned(keys, previous.resources, resources, previous.by_key, suffix)
    today = _endpoints(sources(services, resources, suffix), services.values(), previous.settings, previous)
    changed = {key: today.get(key, ()) for key in services if today.get(key, ()) != previous.endpoints.get(key, ())}
    return previous.with_endpoints(changed, version, MappingProxyType(resources))


def _indexed(
    config: Iterable[Resource], registry: RegistrySnapshot, previous: Mesh | None
) -> Mapping[ResourceKey, Resource]:
    old = previous.resources if previous is not None else {}
    fresh = {resource.key: resource for resource in (*registry.resources, *config)}
    return MappingProxyType({key: kept if (kept := old.get(key)) == new else new for key, new in fresh.items()})


def _services(
    resources: tuple[Resource, ...], settings: MeshConfig, previous: Mesh | None, problems: list[Problem]
) -> tuple[Service, ...]:
    """Services by age; a host that its namespace declares twice belongs to the first."""
    sources = {resource.id: resource.source for resource in resources}
    old = previous.by_key if previous is not None else {}
    by_key: dict[ServiceKey, Service] = {}
    stated = [*kubernetes.services_from(resources, settings.domain_suffix), *serviceentry.services_from(resources)]
    for service in stated:
        place = sources[service.origin]
        if service.resolution is Resolution.DYNAMIC_DNS:
            message = "resolution DYNAMIC_DNS is not supported by this version; the hosts are left out"
            problems.append(Problem(place, service.origin, "spec.resolution", message))
        elif service.key in by_key:
            message = f"host {service.hostname} is already declared by {by_key[service.key].origin}"
            problems.append(Problem(place, service.origin, "spec.hosts", message))
        else:
            kept = old.get(service.key)
            by_key[service.key] = service if kept is None or kept != service else kept
    return tuple(sorted(by_key.values(), key=lambda service: service.age))


def _endpoints(
    resources: tuple[Resource, ...], services: Iterable[Service], settings: MeshConfig, previous: Mesh | None
) -> Mapping[ServiceKey, tuple[Endpoint, ...]]:
    by_key = {service.key: service for service in services}
    found: dict[ServiceKey, tuple[Endpoint, ...]] = {}
    old = previous.endpoints if previous is not None else {}
    for part in (
        kubernetes.endpoints_from(resources, by_key, settings.domain_suffix),
        serviceentry.endpoints_from(resources, by_key),
    ):
        for key, endpoints in part.items():
            found[key] = found.get(key, ()) + tuple(endpoints)
    return MappingProxyType({key: kept if (kept := old.get(key)) == new else new for key, new in found.items()})


def _routings(
    resources: tuple[Resource, ...], settings: MeshConfig, previous: Mesh | None, problems: list[Problem]
) -> tuple[Routing, ...]:
    virtual_services = of_kind(resources, VirtualService)
    by_name = {(r.metadata.namespace, r.metadata.name): r for r in virtual_services}
    reusable = previous.routings if previous is not None and previous.settings == settings else ()
    old = {kept.parts: kept for kept in reusable}
    found: list[Routing] = []
    for resource in virtual_services:
        if not resource.spec.hosts:
            continue  # a delegate: part of those that name it
        http, used = delegates.merged(resource, by_name, settings.domain_suffix, problems)
        kept = old.get((resource, *used))
        found.append(kept or routing(resource, http, used, settings.domain_suffix))
    return tuple(found)
