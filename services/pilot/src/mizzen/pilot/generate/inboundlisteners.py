"""Listeners of sidecars for what arrives."""

from __future__ import annotations

from dataclasses import replace

from mizzen.pilot.base.protocol import Protocol
from mizzen.pilot.generate import names
from mizzen.pilot.generate.harvest import Harvest
from mizzen.pilot.generate.hcm import SERVER_NAME, HttpInputs, http_protocols
from mizzen.pilot.generate.inbound import InboundPort, inbound_ports
from mizzen.pilot.generate.inboundroute import InboundRoute
from mizzen.pilot.generate.listener import INBOUND, HttpChain, ListenerInputs, forward
from mizzen.pilot.generate.mutualtls import TLS, Way, ways
from mizzen.pilot.generate.node import Node
from mizzen.pilot.generate.tcp import ANY, ChainMatch, TcpChain

_GRPC = (Protocol.GRPC, Protocol.GRPC_WEB)


def inbound_listeners(node: Node, harvest: Harvest) -> list[ListenerInputs]:
    """`virtualInbound` for captured ports, and one listener for each port that is bound."""
    ports = inbound_ports(node)
    found: list[ListenerInputs] = []
    if node.proxy.captures:
        captured = [port for port in ports if not port.bind and port.number not in node.reserved]
        with harvest.guard(names.VIRTUAL_INBOUND):
            found.append(_virtual_inbound(node, captured))
    for port in ports:
        name = names.listener(port.label, port.number)
        if port.bind:
            name = names.listener(port.bind, port.number)
            with harvest.guard(name):
                found.append(_bound(node, port, name))
        elif port.number in node.reserved:
            owner = port.services[0].origin if port.services else port.host
            harvest.made.failures[name] = f"{owner}: the proxy itself listens on port {port.number}"
    return found


def _virtual_inbound(node: Node, ports: list[InboundPort]) -> ListenerInputs:
    settings = node.mesh.settings
    own = settings.proxy_inbound_listen_port
    address, *others = node.wildcards
    chains: list[HttpChain | TcpChain] = [
        forward(names.BLACK_HOLE, ChainMatch(port=own), "virtualInbound-blackhole"),
        *_undeclared(node),
    ]
    for port in ports:
        chains += _chains(node, port)
    return ListenerInputs(
        name=names.VIRTUAL_INBOUND,
        address=address,
        port=own,
        direction=INBOUND,
        chains=tuple(chains),
        settings=settings,
        original_dst=True,
        transparent=node.proxy.transparent,
        additional=tuple(others),
        log_unmatched=True,
    )


def _undeclared(node: Node) -> list[HttpChain | TcpChain]:
    """The chains of ports that no service declares."""
    rest = names.INBOUND_PASSTHROUGH
    http = HttpInputs(
        stat_prefix=f"{rest};",
        server_name=SERVER_NAME,
        accept_http_10=node.proxy.accept_http_10,
        idle_timeout=node.proxy.idle_timeout,
        guards=node.http_guards,
    )
    found: list[HttpChain | TcpChain] = []
    for way in ways(node.accepts(0), Protocol.UNSUPPORTED, 0, http_protocols(node.proxy)):
        if way.http:
            named = replace(http, names_client=way.ends_tls)
            chain = HttpChain(way.match, named, InboundRoute(rest, 0, ""), "virtualInbound-catchall-http")
            found.append(replace(chain, ends_tls=way.ends_tls))
        else:
            found.append(_guarded(node, forward(rest, way.match, names.VIRTUAL_INBOUND, node.proxy.idle_timeout), way))
    return found


def _guarded(node: Node, chain: TcpChain, way: Way) -> TcpChain:
    return replace(chain, tcp=replace(chain.tcp, guards=node.guards.tcp), ends_tls=way.ends_tls)


def _bound(node: Node, port: InboundPort, name: str) -> ListenerInputs:
    chains = _chains(node, port)
    default = None
    if len(chains) > 1 and isinstance(chains[-1], TcpChain) and chains[-1].match == ANY:
        default = chains.pop()
    return ListenerInputs(
        name=name,
        address=port.bind,
        port=port.number,
        direction=INBOUND,
        chains=tuple(chains),
        settings=node.mesh.settings,
        default=default if isinstance(default, TcpChain) else None,
    )


def _chains(node: Node, port: InboundPort) -> list[HttpChain | TcpChain]:
    """The chains of a port: TLS or plaintext, HTTP or bytes, told apart by the first bytes.

    A listener of its own needs no condition on the port, nor one on the transport where it does not look at it.
    """
    found = ways(node.accepts(port.number), port.protocol, 0 if port.bind else port.number, http_protocols(node.proxy))
    if port.bind and not any(way.match.transport == TLS for way in found):
        found = [way if way.match.protocols else way._replace(match=ANY) for way in found]
    return [_http_chain(node, port, way) if way.http else _tcp_chain(node, port, way) for way in found]


def _http_chain(node: Node, port: InboundPort, way: Way) -> HttpChain:
    http = HttpInputs(
        stat_prefix=f"inbound_{port.label}_{port.number};",
        server_name=SERVER_NAME,
        grpc_web=port.protocol is Protocol.GRPC_WEB,
        accept_http_10=node.proxy.accept_http_10,
        idle_timeout=node.proxy.idle_timeout,
        guards=node.http_guards,
        names_client=way.ends_tls,
    )
    route = InboundRoute(names.inbound(port.number), port.service_port, port.host, retries=port.protocol not in _GRPC)
    return HttpChain(way.match, http, route, _chain_name(port), port.origin, way.ends_tls)


def _tcp_chain(node: Node, port: InboundPort, way: Way) -> TcpChain:
    chain = forward(names.inbound(port.number), way.match, _chain_name(port), node.proxy.idle_timeout)
    return _guarded(node, replace(chain, tcp=replace(chain.tcp, origin=port.origin)), way)


def _chain_name(port: InboundPort) -> str:
    return "" if port.bind else names.listener(port.label, port.number)
