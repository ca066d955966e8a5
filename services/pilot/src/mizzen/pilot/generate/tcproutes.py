"""TCP and TLS routing as filter chains."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from mizzen.api.virtualservice import L4MatchAttributes, RouteDestination, TLSMatchAttributes
from mizzen.pilot.base import host as hosts
from mizzen.pilot.base.labels import Labels, labels
from mizzen.pilot.generate import names
from mizzen.pilot.generate.httproute import destination_cluster
from mizzen.pilot.generate.tcp import TLS, ChainMatch, TcpChain, TcpInputs
from mizzen.pilot.snapshot.destinationrule import RuleIndex, effective
from mizzen.pilot.snapshot.scope import Scope
from mizzen.pilot.snapshot.service import Port, Service
from mizzen.pilot.snapshot.virtualservice import Routing


@dataclass(frozen=True, slots=True)
class TcpContext:
    """For whom chains are made."""

    gateways: frozenset[str]
    namespace: str
    labels: Labels
    scope: Scope
    rules: RuleIndex


def service_chains(
    service: Service, port: Port, routings: Iterable[Routing], destinations: tuple[str, ...], context: TcpContext
) -> list[TcpChain]:
    """The chains of a service port: by the VirtualServices of its host, else one to the service itself.

    `destinations` are the CIDR ranges that a shared listener needs to tell this service from others.
    """
    chains: list[TcpChain] = []
    for routing in routings:
        if not any(hosts.covers(host, service.hostname) for host in routing.hosts):
            continue
        if port.protocol.is_tls:
            chains += _tls_chains(routing, port.number, destinations, context)
        chains += _tcp_chains(routing, port.number, destinations, context)
        if chains:
            return _unique(chains)
    return [_default(service, port, destinations, context)]


def gateway_chains(routing: Routing, port: int, context: TcpContext) -> list[TcpChain]:
    """The chains of a VirtualService at a TCP server of a gateway."""
    return _unique(_tcp_chains(routing, port, (), context))


def _tls_chains(routing: Routing, port: int, destinations: tuple[str, ...], context: TcpContext) -> Iterator[TcpChain]:
    for route in routing.tls:
        for match in route.match:
            if _applies(match, port, context):
                found = ChainMatch(
                    destinations=tuple(match.destination_subnets) or destinations,
                    server_names=tuple(match.sni_hosts),
                )
                yield TcpChain(found, _tcp(route.route, routing, port, context))


def _tcp_chains(routing: Routing, port: int, destinations: tuple[str, ...], context: TcpContext) -> Iterator[TcpChain]:
    for route in routing.tcp:
        tcp = _tcp(route.route, routing, port, context)
        if not route.match:
            yield TcpChain(ChainMatch(destinations=destinations), tcp)
            return
        for match in route.match:
            if not _applies(match, port, context):
                continue
            sources = (match.source_subnet,) if match.source_subnet else ()
            found = ChainMatch(destinations=tuple(match.destination_subnets) or destinations, sources=sources)
            yield TcpChain(found, tcp)
            if not match.destination_subnets and not sources:
                return


def _applies(match: TLSMatchAttributes | L4MatchAttributes, port: int, context: TcpContext) -> bool:
    if match.port is not None and match.port != port:
        return False
    if match.gateways:
        return not context.gateways.isdisjoint(match.gateways)
    return labels(match.source_labels) <= context.labels and match.source_namespace in ("", context.namespace)


def _tcp(entries: tuple[RouteDestination, ...], routing: Routing, port: int, context: TcpContext) -> TcpInputs:
    weighted = [
        (destination_cluster(entry.destination, port, context.scope.service(entry.destination.host)), entry.weight)
        for entry in entries
    ]
    if len(weighted) == 1:
        clusters: tuple[tuple[str, int], ...] = ((weighted[0][0], 1),)
    else:
        clusters = tuple((cluster, weight) for cluster, weight in weighted if weight)
    prefix = clusters[0][0] if len(clusters) == 1 else f"{routing.name}.{routing.namespace}"
    return TcpInputs(prefix, clusters, origin=routing.origin)


def _default(service: Service, port: Port, destinations: tuple[str, ...], context: TcpContext) -> TcpChain:
    cluster = names.outbound(port.number, "", service.hostname)
    match = ChainMatch(destinations=destinations)
    # A TLS service without an address of its own is told apart by the name that clients ask for.
    if port.protocol.is_tls and not service.addresses and service.hostname != "*":
        match = ChainMatch(destinations=destinations, server_names=(service.hostname,), transport=TLS)
    rule = context.rules.lookup(service.hostname, service.namespace, context.namespace, context.labels)
    pool = effective(rule, port.number).connection_pool
    idle = pool.tcp.idle_timeout if pool is not None and pool.tcp is not None else None
    return TcpChain(
        match, TcpInputs(cluster, ((cluster, 1),), idle_timeout=idle.total_seconds() if idle is not None else None)
    )


def _unique(chains: Iterable[TcpChain]) -> list[TcpChain]:
    """Of chains with one match the first: Envoy takes no two."""
    found: dict[ChainMatch, TcpChain] = {}
    for chain in chains:
        found.setdefault(chain.match, chain)
    return list(found.values())
