"""Resources that are valid alone but cannot have their full effect beside the others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import cast

from mizzen.api.destinationrule import ClientTLSMode, ClientTLSSettings, DestinationRule, TrafficPolicy
from mizzen.api.problem import Problem
from mizzen.api.resource import Resource
from mizzen.api.security import RequestAuthentication
from mizzen.api.serviceentry import Resolution as ServiceEntryResolution
from mizzen.api.serviceentry import ServiceEntry, ServiceEntryStatus
from mizzen.api.sidecar import Sidecar
from mizzen.pilot.base import host as hosts
from mizzen.pilot.base import protocol
from mizzen.pilot.base.keysource import KeySource
from mizzen.pilot.snapshot.keysources import source_of
from mizzen.pilot.snapshot.virtualservice import MESH, Routing

NO_ADDRESS = frozenset({ServiceEntryResolution.NONE, ServiceEntryResolution.DYNAMIC_DNS})
"""Resolutions whose hosts have no use for an address of their own."""
NO_LOCALITY = "localities are not preferred by this version: all endpoints share the load by their weights"


def of_routings(routings: Iterable[Routing], gateways: frozenset[tuple[str, str]]) -> Iterator[Problem]:
    """Hosts claimed twice within the mesh, and gateways that do not exist."""
    owners: dict[tuple[str, frozenset[str]], Routing] = {}
    for routing in routings:
        resource = routing.parts[0]
        for reference in sorted(routing.gateways - {MESH}):
            namespace, _, name = reference.partition("/")
            if (namespace, name) not in gateways:
                message = f"Gateway {reference} does not exist; the routes have no effect there"
                yield Problem(resource.source, resource.id, "spec.gateways", message, "warning")
        if MESH not in routing.gateways:
            continue
        for host in routing.hosts:
            owner = owners.setdefault((host, routing.export_to), routing)
            if owner is not routing:
                message = f"host {host} belongs to {owner.parts[0].id}, which is older; this one has no effect on it"
                yield Problem(resource.source, resource.id, "spec.hosts", message, "warning")


def of_sidecars(sidecars: Iterable[Resource[Sidecar]]) -> Iterator[Problem]:
    """Several Sidecars for one set of workloads."""
    owners: dict[tuple[str, frozenset[tuple[str, str]]], Resource[Sidecar]] = {}
    for sidecar in sidecars:
        selector = sidecar.spec.workload_selector
        key = (sidecar.metadata.namespace, frozenset(selector.labels.items() if selector else ()))
        owner = owners.setdefault(key, sidecar)
        if owner is not sidecar:
            message = f"{owner.id} is older and for the same workloads; this one has no effect"
            yield Problem(sidecar.source, sidecar.id, "spec.workloadSelector", message)


def of_rules(rules: Iterable[Resource[DestinationRule]], *, mutual_tls: bool = False) -> Iterator[Problem]:
    """TLS settings that need certificates from the mesh, tunnels, and preferences among localities."""
    for rule in rules:
        subsets = ((f"spec.subsets[{i}].trafficPolicy", s.traffic_policy) for i, s in enumerate(rule.spec.subsets))
        for path, policy in (("spec.trafficPolicy", rule.spec.traffic_policy), *subsets):
            if policy is not None:
                for place, message in _of_policy(policy, mutual_tls=mutual_tls):
                    yield Problem(rule.source, rule.id, f"{path}.{place}", message)
                for place in _locality_places(policy):
                    yield Problem(rule.source, rule.id, f"{path}.{place}", NO_LOCALITY, "warning")


def of_keys(policies: Iterable[Resource[RequestAuthentication]], keys: Mapping[KeySource, str]) -> Iterator[Problem]:
    """Rules for whose tokens nobody has keys yet."""
    for policy in policies:
        for index, rule in enumerate(policy.spec.jwt_rules):
            source = source_of(rule)
            if not rule.jwks and source not in keys:
                message = f"the keys of {source.shown} are not known (yet): until Pilot has them, tokens are refused"
                place = f"spec.jwtRules[{index}].{'jwksUri' if source.uri else 'issuer'}"
                yield Problem(policy.source, policy.id, place, message, "warning")


def of_service_entries(entries: Iterable[Resource[ServiceEntry]]) -> Iterator[Problem]:
    """Hosts that would get an address from Istio, without which their TCP ports cannot be told apart."""
    for entry in entries:
        spec = entry.spec
        stated = spec.addresses or (entry.status is not None and cast("ServiceEntryStatus", entry.status).addresses)
        if stated or spec.resolution in NO_ADDRESS or all(map(hosts.is_wildcard, spec.hosts)):
            continue
        for index, port in enumerate(spec.ports):
            spoken = protocol.parse(port.protocol)
            if spoken.is_tcp and not spoken.is_tls:
                message = (
                    f"without spec.addresses it takes the connections of port {port.number} to every unknown address: "
                    "this version gives no addresses by itself"
                )
                yield Problem(entry.source, entry.id, f"spec.ports[{index}]", message, "warning")


def _locality_places(policy: TrafficPolicy) -> Iterator[str]:
    ports = ((f"portLevelSettings[{i}].", port.load_balancer) for i, port in enumerate(policy.port_level_settings))
    for place, balancer in (("", policy.load_balancer), *ports):
        if balancer is None:
            continue
        for name, setting in (
            ("localityLbSetting", balancer.locality_lb_setting),
            ("zoneAwareLbSetting", balancer.zone_aware_lb_setting),
        ):
            if setting is not None and setting.enabled is not False:
                yield f"{place}loadBalancer.{name}"


def _of_policy(policy: TrafficPolicy, *, mutual_tls: bool) -> Iterator[tuple[str, str]]:
    ports = ((f"portLevelSettings[{i}].tls", port.tls) for i, port in enumerate(policy.port_level_settings))
    for place, tls in (("tls", policy.tls), *ports):
        message = _tls_complaint(tls, mutual_tls=mutual_tls)
        if message:
            yield place, message
    if policy.tunnel is not None:
        yield "tunnel", "tunnels are not supported by this version; connections go out directly"


def _tls_complaint(tls: ClientTLSSettings | None, *, mutual_tls: bool) -> str:
    if tls is None:
        return ""
    if tls.mode is ClientTLSMode.ISTIO_MUTUAL:
        without = "mode ISTIO_MUTUAL needs enableAutoMtls: true in the mesh config; plain text is used"
        return "" if mutual_tls else without
    return ""
