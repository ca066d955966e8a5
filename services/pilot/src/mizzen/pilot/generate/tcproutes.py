"""TCP and TLS routing as filter chains."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from mizzen.api.virtualservice import L4MatchAttributes, RouteDestination, TLSMatchAttributes
from mizzen.pilot.base import host as hosts
from mizzen.pilot.base.labels import Labels, labels
from mizzen.pilot.generate import names
from mizzen.pilot.generate.httproute import destination_cluster
from mizzen.pilot.generate.tcp import ChainMatch, TcpChain, TcpInputs
from mizzen.pilot.snapshot.destinationrule import Policy, RuleIndex, effective
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
    idle_timeout: float = 0.0
    """Seconds, where no rule says another; 0 leaves Envoy's hour."""


def service_chains(
    service: Service,
    port: Port,
    routings: Iterable[Routing],
    context: TcpContext,
    *,
    destination: str = "",
    by_name: bool = False,
) -> list[TcpChain]:
    """The chains of a service port: those that VirtualServices of its host ask for, and one to the service itself.

    `destination` is the CIDR range that a shared listener needs to tell this service from others; `by_name` says that
    a TLS service is told from others only by the name that clients ask for.
    """
    ranges = _ranges((destination,)) if destination else ()
    ours = [r for r in routings if any(hosts.covers(host, service.hostname) for host in r.hosts)]
    rest = _default(service, port, ranges, context, by_name=by_name)
    if port.protocol.is_tls:
        return _unique([chain for r in ours for chain in _tls_chains(r, port.number, ranges, context)] or [rest])
    found: list[TcpChain] = []
    for chain in (chain for r in ours for chain in _tcp_chains(r, port.number, ranges, context)):
        found.append(chain)
        if chain.match == rest.match:
            return _unique(found)  # it takes everything that comes here
    return _unique([*found, rest])


def passthrough_chains(routing: Routing, port: int, context: TcpContext) -> list[TcpChain]:
    """The chains of a VirtualService at a server of a gateway that leaves TLS as it is."""
    return _unique(_tls_chains(routing, port, (), context))


def gateway_chains(routing: Routing, port: int, context: TcpContext) -> list[TcpChain]:
    """The chains of a VirtualService at a TCP server of a gateway."""
    return _unique(_tcp_chains(routing, port, (), context))


def chain_to(cluster: str, match: ChainMatch, context: TcpContext) -> TcpChain:
    """A chain to one cluster, under its DestinationRule."""
    return TcpChain(match, _governed(((cluster, 1),), context))


def _tls_chains(routing: Routing, port: int, destinations: tuple[str, ...], context: TcpContext) -> Iterator[TcpChain]:
    for route in routing.tls:
        for match in route.match:
            if _applies(match, port, context):
                found = ChainMatch(
                    destinations=_ranges(match.destination_subnets) or destinations,
                    server_names=tuple(sorted(match.sni_hosts)),
                )
                yield TcpChain(found, _tcp(route.route, routing, port, context))


def _tcp_chains(routing: Routing, port: int, destinations: tuple[str, ...], context: TcpContext) -> Iterator[TcpChain]:
    for route in routing.tcp:
        tcp = _tcp(route.route, routing, port, context)
        subnets: list[str] = []
        for match in route.match or (L4MatchAttributes(),):
            if not _applies(match, port, context):
                continue
            if match.source_subnet:
                yield TcpChain(
                    ChainMatch(
                        destinations=_ranges(match.destination_subnets) or destinations,
                        sources=_ranges((match.source_subnet,)),
                    ),
                    tcp,
                )
            elif match.destination_subnets:
                subnets += match.destination_subnets
            else:
                yield TcpChain(ChainMatch(destinations=destinations), tcp)
                return
        for subnet in _ranges(subnets):
            yield TcpChain(ChainMatch(destinations=(subnet,)), tcp)


def _ranges(texts: Iterable[str]) -> tuple[str, ...]:
    """CIDR ranges in one order and one way to write them, so that equal ones are found equal."""
    return tuple(sorted({str(ipaddress.ip_network(text, strict=False)) for text in texts}))


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
    return replace(_governed(clusters, context), stat_prefix=prefix, origin=routing.origin)


def _default(
    service: Service, port: Port, destinations: tuple[str, ...], context: TcpContext, *, by_name: bool
) -> TcpChain:
    named = port.protocol.is_tls and (by_name or bool(destinations)) and service.hostname != "*"
    match = ChainMatch(destinations=destinations, server_names=(service.hostname,) if named else ())
    return chain_to(names.outbound(port.number, "", service.hostname), match, context)


def _governed(clusters: tuple[tuple[str, int], ...], context: TcpContext) -> TcpInputs:
    """Under the DestinationRule of the first cluster: the listener, not a cluster, has these settings."""
    found = names.parse_cluster(clusters[0][0])
    service = context.scope.service(found.host) if found is not None else None
    policy = Policy()
    if found is not None and service is not None:
        rule = context.rules.lookup(service.hostname, service.namespace, context.namespace, context.labels)
        subset = rule.subset(found.subset) if rule is not None and len(clusters) == 1 else None
        policy = effective(rule, found.port, subset)
    limits = policy.connection_pool.tcp if policy.connection_pool is not None else None
    idle = limits.idle_timeout.total_seconds() if limits is not None and limits.idle_timeout is not None else 0.0
    longest = limits.max_connection_duration if limits is not None else None
    hashing = policy.load_balancer.consistent_hash if policy.load_balancer is not None else None
    return TcpInputs(
        clusters[0][0],
        clusters,
        idle_timeout=idle or context.idle_timeout or None,
        longest=longest.total_seconds() if longest is not None else None,
        by_source=hashing is not None and bool(hashing.use_source_ip),
    )


def _unique(chains: Iterable[TcpChain]) -> list[TcpChain]:
    """Of chains with one match the first: Envoy takes no two."""
    found: dict[ChainMatch, TcpChain] = {}
    for chain in chains:
        found.setdefault(chain.match, chain)
    return list(found.values())
