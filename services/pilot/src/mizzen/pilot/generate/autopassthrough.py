"""Gateways between clusters: mutual TLS goes through to the service and port that the client names by SNI.

Source: ServerTLSSettings of Istio's Gateway; names and matches as its Pilot generates them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from mizzen.pilot.base import host as hosts
from mizzen.pilot.base.protocol import Protocol
from mizzen.pilot.generate import names
from mizzen.pilot.generate.node import Node
from mizzen.pilot.generate.tcp import ChainMatch, TcpChain
from mizzen.pilot.generate.tcproutes import TcpContext, chain_to
from mizzen.pilot.generate.tls import BYTES, HTTP
from mizzen.pilot.snapshot.gateways import GatewayPort, TlsServer
from mizzen.pilot.snapshot.service import Port, Service


def offered(node: Node, ports: Iterable[GatewayPort]) -> Iterator[tuple[Service, Port]]:
    """The ports of services to which servers of the gateway lead, each once."""
    servers = [server for port in ports for server in port.tls if server.automatic]
    for service in node.scope.services if servers else ():
        if any(_offers(server, service) for server in servers):
            yield from ((service, port) for port in service.ports if port.protocol is not Protocol.UDP)


def automatic_chains(node: Node, server: TlsServer, context: TcpContext) -> Iterator[TcpChain]:
    """One for each port, and for each of its subsets. Who does not speak the mesh's mutual TLS finds none."""
    for service in node.scope.services:
        if not _offers(server, service):
            continue
        rule = node.rule(service)
        subsets = ("", *(subset.name for subset in rule.subsets)) if rule is not None else ("",)
        for port in service.ports:
            for subset in subsets if port.protocol is not Protocol.UDP else ():
                name = names.server_name(port.number, subset, service.hostname)
                yield chain_to(name, ChainMatch(server_names=(name,), protocols=(*HTTP, *BYTES)), context)


def _offers(server: TlsServer, service: Service) -> bool:
    """Services outside of the mesh cannot be meant: nobody speaks its mutual TLS there."""
    return not service.external and any(
        namespace in ("*", service.namespace) and hosts.covers(pattern, service.hostname)
        for namespace, pattern in server.hosts
    )
