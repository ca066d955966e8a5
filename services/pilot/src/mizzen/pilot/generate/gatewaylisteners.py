"""Listeners of gateways."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from mizzen.pilot.base import host as hosts
from mizzen.pilot.generate import names
from mizzen.pilot.generate.harvest import Harvest
from mizzen.pilot.generate.hcm import SERVER_NAME, HttpInputs
from mizzen.pilot.generate.listener import OUTBOUND, HttpChain, ListenerInputs
from mizzen.pilot.generate.node import WILDCARD, Node
from mizzen.pilot.generate.tcp import ANY, ChainMatch, TcpChain
from mizzen.pilot.generate.tcproutes import TcpContext, gateway_chains
from mizzen.pilot.snapshot.gateways import GatewayPort, TcpServer, ports
from mizzen.pilot.snapshot.select import visible


def gateway_ports(node: Node) -> tuple[GatewayPort, ...]:
    """What the gateway listens on."""
    proxy = node.proxy
    return ports(node.mesh.gateways, proxy.labels, node.targets, unprivileged=proxy.unprivileged)


def gateway_listeners(node: Node, harvest: Harvest) -> list[ListenerInputs]:
    """One listener per port; a TCP port to which nothing is routed has none."""
    found: list[ListenerInputs] = []
    for port in gateway_ports(node):
        name = names.listener(port.bind or WILDCARD, port.port)
        with harvest.guard(name):
            found.append(_listener(node, port, name))
    return [inputs for inputs in found if inputs.chains]


def _listener(node: Node, port: GatewayPort, name: str) -> ListenerInputs:
    chains: Iterable[HttpChain | TcpChain]
    if port.http:
        http = HttpInputs(
            stat_prefix=f"outbound_{name};",
            server_name=SERVER_NAME,
            edge=True,
            accept_http_10=node.proxy.accept_http_10,
            idle_timeout=node.proxy.idle_timeout,
            guards=node.http_guards,
        )
        chains = [HttpChain(ANY, http, names.gateway_route(port.port, port.bind))]
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


def _tcp(node: Node, servers: Iterable[TcpServer]) -> list[TcpChain]:
    found: dict[ChainMatch, TcpChain] = {}
    for server in servers:
        context = TcpContext(
            gateways=frozenset({server.gateway}),
            namespace=node.proxy.namespace,
            labels=node.labels,
            scope=node.scope,
            rules=node.mesh.rules,
            idle_timeout=node.proxy.idle_timeout,
        )
        for routing in node.mesh.routings:
            if server.gateway not in routing.gateways or not visible(routing.export_to, node.proxy.namespace):
                continue
            if not any(
                namespace in ("*", routing.namespace) and hosts.intersection(pattern, host) is not None
                for namespace, pattern in server.hosts
                for host in routing.hosts
            ):
                continue
            for chain in gateway_chains(routing, server.port, context):
                guarded = replace(chain, tcp=replace(chain.tcp, guards=node.guards.tcp))
                found.setdefault(chain.match, guarded)
    return list(found.values())
