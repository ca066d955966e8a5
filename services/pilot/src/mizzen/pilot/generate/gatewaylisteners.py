"""Listeners of gateways."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from mizzen.pilot.base import host as hosts
from mizzen.pilot.generate import names
from mizzen.pilot.generate.autopassthrough import automatic_chains
from mizzen.pilot.generate.harvest import Harvest
from mizzen.pilot.generate.hcm import SERVER_NAME, HttpInputs
from mizzen.pilot.generate.listener import OUTBOUND, HttpChain, ListenerInputs
from mizzen.pilot.generate.node import WILDCARD, Node
from mizzen.pilot.generate.tcp import ANY, ChainMatch, TcpChain
from mizzen.pilot.generate.tcproutes import TcpContext, gateway_chains, passthrough_chains
from mizzen.pilot.snapshot.gateways import GatewayPort, TcpServer, TlsServer, ports
from mizzen.pilot.snapshot.select import visible
from mizzen.pilot.snapshot.virtualservice import Routing


def gateway_ports(node: Node) -> tuple[GatewayPort, ...]:
    """What the gateway listens on."""
    proxy = node.proxy
    return ports(node.mesh.gateways, proxy.labels, node.targets, unprivileged=proxy.unprivileged)


def gateway_listeners(node: Node, harvest: Harvest) -> list[ListenerInputs]:
    """One listener per port; a port of bytes to which nothing is routed has none."""
    found: list[ListenerInputs] = []
    for port in gateway_ports(node):
        name = names.listener(port.bind or WILDCARD, port.port)
        with harvest.guard(name):
            found.append(_listener(node, port, name))
    return [inputs for inputs in found if inputs.chains]


def _listener(node: Node, port: GatewayPort, name: str) -> ListenerInputs:
    chains: Iterable[HttpChain | TcpChain]
    if port.http:
        chains = [HttpChain(ANY, _http(node, name), names.gateway_route(port.port, port.bind))]
    elif port.tls:
        chains = _secure(node, port, name)
    else:
        chains = _tcp(node, port.tcp)
    return ListenerInputs(
        name=name,
        address=port.bind or node.wildcards[0],
        port=port.port,
        direction=OUTBOUND,
        chains=tuple(chains),
        settings=node.mesh.settings,
    )


def _http(node: Node, name: str) -> HttpInputs:
    return HttpInputs(
        stat_prefix=f"outbound_{name};",
        server_name=SERVER_NAME,
        edge=True,
        accept_http_10=node.proxy.accept_http_10,
        idle_timeout=node.proxy.idle_timeout,
        guards=node.http_guards,
    )


def _secure(node: Node, port: GatewayPort, name: str) -> list[HttpChain | TcpChain]:
    """The chains of servers that speak TLS: by the names that clients ask for."""
    found: dict[ChainMatch, HttpChain | TcpChain] = {}
    for server in port.tls:
        match = ChainMatch(server_names=_server_names(server))
        if server.http:
            routes = names.secure_gateway_route(port.port, server.port_name, server.gateway, port.bind)
            found.setdefault(match, HttpChain(match, _http(node, name), routes, gateway_tls=server.tls))
            continue
        for chain in _chains(node, server):
            ended = chain if server.passes else replace(chain, match=match, gateway_tls=server.tls)
            found.setdefault(ended.match, ended)
    return list(found.values())


def _chains(node: Node, server: TlsServer) -> Iterator[TcpChain]:
    """Of a server that carries bytes."""
    if server.automatic:
        return _guarded(node, automatic_chains(node, server, _context(node, server)))
    return _routed(node, server, passthrough_chains if server.passes else gateway_chains)


def _server_names(server: TlsServer) -> tuple[str, ...]:
    """Those by which its clients are known; empty takes all."""
    known = {host for _, host in server.hosts}
    return () if "*" in known else tuple(sorted(known))


def _tcp(node: Node, servers: Iterable[TcpServer]) -> list[TcpChain]:
    found: dict[ChainMatch, TcpChain] = {}
    for server in servers:
        for chain in _routed(node, server, gateway_chains):
            found.setdefault(chain.match, chain)
    return list(found.values())


def _routed(
    node: Node, server: TcpServer | TlsServer, make: Callable[[Routing, int, TcpContext], list[TcpChain]]
) -> Iterator[TcpChain]:
    """The chains of all VirtualServices at a server, guarded."""
    context = _context(node, server)
    for routing in node.mesh.routings:
        if server.gateway not in routing.gateways or not visible(routing.export_to, node.proxy.namespace):
            continue
        if not any(
            namespace in ("*", routing.namespace) and hosts.intersection(pattern, host) is not None
            for namespace, pattern in server.hosts
            for host in routing.hosts
        ):
            continue
        yield from _guarded(node, make(routing, server.port, context))


def _context(node: Node, server: TcpServer | TlsServer) -> TcpContext:
    return TcpContext(
        gateways=frozenset({server.gateway}),
        namespace=node.proxy.namespace,
        labels=node.labels,
        scope=node.scope,
        rules=node.mesh.rules,
        idle_timeout=node.proxy.idle_timeout,
    )


def _guarded(node: Node, chains: Iterable[TcpChain]) -> Iterator[TcpChain]:
    for chain in chains:
        yield replace(chain, tcp=replace(chain.tcp, guards=node.guards.tcp))
