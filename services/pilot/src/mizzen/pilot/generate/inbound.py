"""Inbound ports of sidecars: their listeners and clusters."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from mizzen.api.destinationrule import ConnectionPoolSettings
from mizzen.api.sidecar import IstioIngressListener
from mizzen.api.types import CaptureMode
from mizzen.pilot.base import protocol
from mizzen.pilot.base.protocol import Protocol
from mizzen.pilot.generate import names
from mizzen.pilot.generate.clusters import InboundInputs
from mizzen.pilot.generate.harvest import Harvest
from mizzen.pilot.generate.hcm import HttpInputs
from mizzen.pilot.generate.inboundroute import InboundRoute
from mizzen.pilot.generate.listener import INBOUND, HttpChain, ListenerInputs, forward
from mizzen.pilot.generate.node import LOCALHOST, WILDCARD, Node
from mizzen.pilot.generate.tcp import ANY, RAW, ChainMatch, TcpChain
from mizzen.pilot.snapshot.service import Service

SERVER_NAME = "istio-envoy"
HTTP_PROTOCOLS = ("http/1.1", "h2c")


@dataclass(frozen=True, slots=True)
class InboundPort:
    """A port on which the sidecar accepts for its application."""

    number: int
    protocol: Protocol
    bind: str
    """Empty: connections come by capture."""
    address: str
    """Where the application listens; empty means the address the connection was made to."""
    target_port: int
    service_port: int
    services: tuple[Service, ...] = ()
    pool: ConnectionPoolSettings | None = None


def inbound_ports(node: Node) -> list[InboundPort]:
    """The ports of the Sidecar resource where it names any, else those of the proxy's services, one per number."""
    sidecar = node.sidecar
    if sidecar is not None and sidecar.ingress:
        stated = [_stated(node, listener) for listener in sidecar.ingress if listener.port is not None]
        return list({port.number: port for port in reversed(stated)}.values())[::-1]
    if not node.proxy.captures and not node.proxy.app_address:
        return []
    return list(_of_services(node))


def cluster_inputs(node: Node, port: InboundPort) -> InboundInputs:
    """The inputs of the port's cluster."""
    return InboundInputs(
        port=port.number,
        address=port.address,
        target_port=port.target_port,
        protocol=port.protocol,
        services=port.services,
        pool=port.pool,
        settings=node.mesh.settings,
    )


def inbound_listeners(node: Node, harvest: Harvest) -> list[ListenerInputs]:
    """`virtualInbound` for captured ports, and one listener for each port that is bound."""
    ports = inbound_ports(node)
    found: list[ListenerInputs] = []
    if node.proxy.captures:
        with harvest.guard(names.VIRTUAL_INBOUND):
            found.append(_virtual_inbound(node, [port for port in ports if not port.bind]))
    for port in ports:
        if port.bind:
            with harvest.guard(names.listener(port.bind, port.number)):
                found.append(_bound(node, port))
    return found


def _of_services(node: Node) -> Iterator[InboundPort]:
    """Of several services on one port the oldest decides the protocol."""
    by_number: dict[int, list[tuple[Service, int, Protocol]]] = {}
    for target in node.targets:
        if target.port.protocol is not Protocol.UDP:
            entry = (target.service, target.port.number, target.port.protocol)
            by_number.setdefault(target.number, []).append(entry)
    pool = node.sidecar.inbound_connection_pool if node.sidecar is not None else None
    for number, entries in sorted(by_number.items()):
        yield InboundPort(
            number=number,
            protocol=entries[0][2],
            bind=_bind(node) if node.proxy.app_address else "",
            address=node.proxy.app_address,
            target_port=number,
            service_port=entries[0][1],
            services=tuple(dict.fromkeys(service for service, _, _ in entries)),
            pool=pool,
        )


def _stated(node: Node, listener: IstioIngressListener) -> InboundPort:
    number = listener.port.number if listener.port is not None else 0
    name = listener.port.protocol if listener.port is not None else ""
    captured = node.proxy.captures and listener.capture_mode is not CaptureMode.NONE
    address, target_port = _endpoint(node, listener.default_endpoint, number, captured=captured)
    default_pool = node.sidecar.inbound_connection_pool if node.sidecar is not None else None
    services = tuple(dict.fromkeys(target.service for target in node.targets if target.number == number))
    return InboundPort(
        number=number,
        protocol=protocol.parse(name),
        bind="" if captured else listener.bind or _bind(node),
        address=address,
        target_port=target_port,
        service_port=next((target.port.number for target in node.targets if target.number == number), number),
        services=services,
        pool=listener.connection_pool or default_pool,
    )


def _endpoint(node: Node, stated: str, number: int, *, captured: bool) -> tuple[str, int]:
    """Where the application listens: as stated, else where the connection was going, else on the same port."""
    local = node.proxy.app_address or LOCALHOST
    if stated.startswith("unix://"):
        return stated, 0
    if not stated:
        return ("" if captured and not node.proxy.app_address else local), number
    host, _, port = stated.rpartition(":")
    if host == WILDCARD:
        return node.proxy.app_address or node.proxy.addresses[0], int(port)
    return (local if host == LOCALHOST else host.strip("[]")), int(port)


def _bind(node: Node) -> str:
    return node.proxy.bind_address or node.proxy.addresses[0]


def _http_chain(node: Node, port: InboundPort, match: ChainMatch, name: str = "") -> HttpChain:
    http = HttpInputs(
        stat_prefix=f"inbound_{WILDCARD}_{port.number};",
        server_name=SERVER_NAME,
        grpc_web=port.protocol is Protocol.GRPC_WEB,
        accept_http_10=node.proxy.accept_http_10,
        idle_timeout=node.proxy.idle_timeout,
    )
    host = port.services[0].hostname if port.services else ""
    return HttpChain(match, http, InboundRoute(names.inbound(port.number), port.service_port, host), name)


def _chains(node: Node, port: InboundPort, *, captured: bool) -> list[HttpChain | TcpChain]:
    """Plaintext chains of a port: HTTP, TCP, or both told apart by the first bytes."""
    number = port.number if captured else 0
    name = names.listener(WILDCARD, port.number) if captured else ""
    plain = ChainMatch(port=number, transport=RAW if captured else "")
    if port.protocol.is_http:
        return [_http_chain(node, port, plain, name)]
    raw = forward(names.inbound(port.number), plain, name)
    if port.protocol is not Protocol.UNSUPPORTED:
        return [raw]
    sniffed = ChainMatch(port=number, transport=RAW, protocols=HTTP_PROTOCOLS)
    return [_http_chain(node, port, sniffed, name), raw]


def _bound(node: Node, port: InboundPort) -> ListenerInputs:
    chains = _chains(node, port, captured=False)
    default = None
    if len(chains) > 1 and isinstance(chains[-1], TcpChain):
        default = chains.pop()
    return ListenerInputs(
        name=names.listener(port.bind, port.number),
        address=port.bind,
        port=port.number,
        direction=INBOUND,
        chains=tuple(chains),
        settings=node.mesh.settings,
        default=default if isinstance(default, TcpChain) else None,
        sniff_tls=default is not None,
        sniff_http=default is not None,
    )


def _virtual_inbound(node: Node, ports: list[InboundPort]) -> ListenerInputs:
    settings = node.mesh.settings
    own = settings.proxy_inbound_listen_port
    rest = names.INBOUND_PASSTHROUGH
    http = HttpInputs(stat_prefix=rest, server_name=SERVER_NAME, accept_http_10=node.proxy.accept_http_10)
    chains: list[HttpChain | TcpChain] = [
        forward(names.BLACK_HOLE, ChainMatch(port=own), "virtualInbound-blackhole"),
        HttpChain(
            ChainMatch(transport=RAW, protocols=HTTP_PROTOCOLS),
            http,
            InboundRoute(rest, 0, ""),
            "virtualInbound-catchall-http",
        ),
    ]
    for port in ports:
        chains += _chains(node, port, captured=True)
    return ListenerInputs(
        name=names.VIRTUAL_INBOUND,
        address=node.wildcard,
        port=own,
        direction=INBOUND,
        chains=tuple(chains),
        settings=settings,
        default=forward(rest, ANY, names.VIRTUAL_INBOUND),
        original_dst=True,
        sniff_tls=True,
        sniff_http=True,
        log_unmatched=True,
    )
