"""Which change can alter which xDS type of which proxy. Errs on the side of pushing."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from mizzen.api.gateway import Gateway, ServerTLSMode
from mizzen.api.resource import ResourceKey
from mizzen.pilot.base import host as hosts
from mizzen.pilot.base.keysource import KeySource
from mizzen.pilot.base.labels import labels
from mizzen.pilot.generate.clusters import NAMED
from mizzen.pilot.generate.mutualtls import identities
from mizzen.pilot.generate.outboundplaces import listens_by_endpoint
from mizzen.pilot.generate.secrets import concerns
from mizzen.pilot.generate.typeurls import CLUSTER, ENDPOINT, LISTENER, ORDER, ROUTE, SECRET
from mizzen.pilot.snapshot.destinationrule import Rule
from mizzen.pilot.snapshot.diff import Change
from mizzen.pilot.snapshot.keysources import sources_of
from mizzen.pilot.snapshot.mesh import Mesh
from mizzen.pilot.snapshot.proxy import Proxy
from mizzen.pilot.snapshot.scope import Scope
from mizzen.pilot.snapshot.select import visible
from mizzen.pilot.snapshot.service import ServiceKey
from mizzen.pilot.snapshot.virtualservice import MESH, Routing

EVERYTHING = frozenset(ORDER)
LEGACY = frozenset({"Policy", "MeshPolicy", "RbacConfig", "ClusterRbacConfig", "ServiceRole", "ServiceRoleBinding"})
"""Kinds that stand for the ones of security.istio.io."""
RoutingOrRule = TypeVar("RoutingOrRule", Routing, Rule)


def affected_types(change: Change, proxy: Proxy, old: Mesh, new: Mesh) -> tuple[str, ...]:
    """The type URLs to push to a proxy, in push order; empty when the change is none of its business."""
    if change.settings:
        return ORDER
    found: set[str] = set()
    meshes = (old, new)
    scopes = tuple(_scope(mesh, proxy) for mesh in meshes)
    for mesh, scope in zip(meshes, scopes, strict=True):
        if any(
            key.hostname in new.settings.consulted_hosts or _sees(scope, key) or _stands_for(mesh, proxy, key)
            for key in change.services
        ):
            return ORDER
    for key in change.config:
        found |= _of_config(key, proxy, meshes, scopes)
    if change.keys & _sources(proxy, new):
        found.add(LISTENER)
    if change.translated:
        moved = set(old.translation.routings) ^ set(new.translation.routings)
        found |= _of_routings(moved, proxy, narrowed=any(scope.sidecar is not None for scope in scopes))
        if proxy.type == "router" and old.translation.gateways != new.translation.gateways:
            found |= {LISTENER, ROUTE, SECRET}
    if old.policy != new.policy and new.settings.mixer_hosts:
        found |= {LISTENER, ROUTE}
    for service in change.endpoints:
        if service.hostname in new.settings.consulted_hosts:
            found.add(ENDPOINT)
        if any(_sees(scope, service) for scope in scopes):
            found |= _of_endpoints(service, proxy, old, new)
        if any(_answers(mesh, proxy, service) for mesh in meshes):
            found |= {CLUSTER, LISTENER, ROUTE}
    return tuple(url for url in ORDER if url in found)


def _sources(proxy: Proxy, mesh: Mesh) -> frozenset[KeySource]:
    """Whose keys for tokens a proxy may be told."""
    near = (proxy.namespace, mesh.settings.root_namespace)
    return frozenset(sources_of(policy for policy in mesh.authentication if policy.metadata.namespace in near))


def _scope(mesh: Mesh, proxy: Proxy) -> Scope:
    if proxy.type == "router":
        return mesh.open_scope(proxy.namespace)
    return mesh.scope(proxy.namespace, proxy.labels)


def _sees(scope: Scope, key: ServiceKey) -> bool:
    service = scope.service(key.hostname)
    return service is not None and service.namespace == key.namespace


def _stands_for(mesh: Mesh, proxy: Proxy, key: ServiceKey) -> bool:
    service = mesh.by_key.get(key)
    if service is None:
        return False
    selected = bool(service.selector) and service.selector <= proxy.labels
    return (selected and service.namespace == proxy.namespace) or _answers(mesh, proxy, key)


def _answers(mesh: Mesh, proxy: Proxy, key: ServiceKey) -> bool:
    return any(endpoint.address in proxy.addresses for endpoint in mesh.endpoints.get(key, ()))


def _of_endpoints(key: ServiceKey, proxy: Proxy, old: Mesh, mesh: Mesh) -> set[str]:
    found = {ENDPOINT}
    names_servers = mesh.settings.enable_auto_mtls or key.hostname in mesh.settings.secure_mixer_hosts
    if names_servers and _expected(old, key) != _expected(mesh, key):
        found.add(CLUSTER)
    service = mesh.by_key.get(key)
    if service is not None and service.resolution in NAMED:
        found.add(CLUSTER)
    if service is not None and proxy.captures and listens_by_endpoint(service):
        found.add(LISTENER)
    return found


def _expected(mesh: Mesh, key: ServiceKey) -> tuple[str, ...]:
    service = mesh.by_key.get(key)
    return identities(mesh, service) if service is not None else ()


def _of_config(
    key: ResourceKey, proxy: Proxy, meshes: tuple[Mesh, ...], scopes: tuple[Scope, ...]
) -> frozenset[str] | set[str]:
    if key.kind == "VirtualService":
        routings = [routing for mesh in meshes for routing in _having(mesh.routings, key)]
        return _of_routings(routings, proxy, narrowed=any(scope.sidecar is not None for scope in scopes))
    if key.kind == "DestinationRule":
        return _of_rules(key, proxy, meshes, scopes)
    if key.kind == "Sidecar":
        concerned = key.namespace in (proxy.namespace, meshes[1].settings.root_namespace)
        return EVERYTHING if proxy.type == "sidecar" and concerned else frozenset()
    if key.kind in LEGACY:
        return {CLUSTER, ENDPOINT, LISTENER}
    if key.kind == "PeerAuthentication":
        return {CLUSTER, ENDPOINT, LISTENER}  # what workloads accept is of interest to all of their clients
    if key.kind in ("AuthorizationPolicy", "RequestAuthentication"):
        concerned = key.namespace in (proxy.namespace, meshes[1].settings.root_namespace)
        return {LISTENER} if concerned else frozenset()
    if key.kind == "Gateway":
        if proxy.type != "router":
            return frozenset()
        gateways = [mesh.resources[key].spec for mesh in meshes if key in mesh.resources]
        ours = [spec for spec in gateways if isinstance(spec, Gateway) and labels(spec.selector) <= proxy.labels]
        clusters = {CLUSTER, ENDPOINT} if any(map(_is_automatic, ours)) else set()
        return {LISTENER, ROUTE, SECRET} | clusters if ours else frozenset()
    if key.kind == "Secret":
        return {SECRET} if concerns(key, proxy, meshes[1]) else frozenset()
    return frozenset()


def _is_automatic(gateway: Gateway) -> bool:
    """Its clusters are made for it."""
    modes = (server.tls.mode for server in gateway.servers if server.tls is not None)
    return ServerTLSMode.AUTO_PASSTHROUGH in modes


def _of_routings(routings: Iterable[Routing], proxy: Proxy, *, narrowed: bool) -> frozenset[str] | set[str]:
    for routing in routings:
        if not visible(routing.export_to, proxy.namespace):
            continue
        if proxy.type == "router" and routing.gateways != {MESH}:
            return {LISTENER, ROUTE}
        if proxy.type == "sidecar" and MESH in routing.gateways:
            # Where a Sidecar resource narrows the view, routes bring the services they point at.
            return EVERYTHING if narrowed else {LISTENER, ROUTE}
    return frozenset()


def _of_rules(key: ResourceKey, proxy: Proxy, meshes: tuple[Mesh, ...], scopes: tuple[Scope, ...]) -> frozenset[str]:
    rules: list[Rule] = []
    for mesh in meshes:
        rules += _having(mesh.rules.by_namespace.get(key.namespace, ()), key)
    for rule in rules:
        if rule.namespace != proxy.namespace and not visible(rule.export_to, proxy.namespace):
            continue
        if any(hosts.covers(rule.host, service.hostname) for scope in scopes for service in scope.services):
            return EVERYTHING
    return frozenset()


def _having(made: Iterable[RoutingOrRule], key: ResourceKey) -> list[RoutingOrRule]:
    return [item for item in made if any(part.key == key for part in item.parts)]
