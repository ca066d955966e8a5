"""Ports on which sidecars accept for their application."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from mizzen.api.destinationrule import ConnectionPoolSettings
from mizzen.api.sidecar import IstioIngressListener
from mizzen.api.types import CaptureMode
from mizzen.pilot.base import protocol
from mizzen.pilot.base.labels import NONE
from mizzen.pilot.base.protocol import Protocol
from mizzen.pilot.generate.clusters import InboundInputs
from mizzen.pilot.generate.node import LOCALHOSTS, WILDCARD, WILDCARDS, Node
from mizzen.pilot.snapshot.destinationrule import Rule, effective
from mizzen.pilot.snapshot.service import Service


@dataclass(frozen=True, slots=True)
class InboundPort:
    """A port on which the sidecar accepts for its application."""

    number: int
    protocol: Protocol
    label: str
    """The address that names its filter chains and statistics."""
    bind: str
    """Empty: connections come by capture."""
    address: str
    """Where the application listens; empty means the address the connection was made to."""
    target_port: int
    service_port: int
    host: str
    """Whose port it is, in traces."""
    services: tuple[Service, ...] = ()
    """The first decides what differs between them."""
    stated_pool: ConnectionPoolSettings | None = None
    """Of the Sidecar resource."""
    origin: tuple[str, str, str] | None = None
    """(kind, namespace, name) of the object that declares it, where it is no service."""


def inbound_ports(node: Node) -> list[InboundPort]:
    """The ports of the Sidecar resource where it names any, else those of the proxy's services, one per number."""
    sidecar = node.sidecar
    if sidecar is not None and sidecar.ingress:
        stated = [_stated(node, listener) for listener in sidecar.ingress if listener.port is not None]
        return sorted({port.number: port for port in reversed(stated)}.values(), key=lambda port: port.number)
    if not node.proxy.captures and not node.proxy.app_address:
        return []
    return list(_of_services(node))


def cluster_inputs(node: Node, port: InboundPort) -> InboundInputs:
    """The inputs of the port's cluster."""
    captured_again = port.address not in node.localhosts and not port.address.startswith("unix://")
    rule = _rule(node, port)
    # The application is held to what its clients are, unless the Sidecar resource says another.
    pool = port.stated_pool or effective(rule, port.service_port).connection_pool
    return InboundInputs(
        port=port.number,
        address=port.address,
        target_port=port.target_port,
        protocol=port.protocol,
        services=port.services,
        pool=pool,
        settings=node.mesh.settings,
        rule=rule.origin if rule is not None else None,
        sources=node.sources if captured_again else (),
    )


def _rule(node: Node, port: InboundPort) -> Rule | None:
    """The DestinationRule of the port's service, if the proxy sees it; those for some clients are not for servers."""
    service = next(iter(port.services), None)
    if service is None or node.scope.service(service.hostname) is None:
        return None
    return node.mesh.rule(service, node.proxy.namespace, NONE)


def _of_services(node: Node) -> Iterator[InboundPort]:
    """Of several services on one port the oldest decides the protocol."""
    by_number: dict[int, list[tuple[Service, int, Protocol]]] = {}
    for target in node.targets:
        if target.port.protocol is not Protocol.UDP:
            entry = (target.service, target.port.number, target.port.protocol)
            by_number.setdefault(target.number, []).append(entry)
    pool = node.sidecar.inbound_connection_pool if node.sidecar is not None else None
    for number, entries in sorted(by_number.items()):
        bind = (node.proxy.bind_address or node.proxy.addresses[0]) if node.proxy.app_address else ""
        yield InboundPort(
            number=number,
            protocol=entries[0][2],
            label=WILDCARD if bind else node.wildcards[0],
            bind=bind,
            address=node.proxy.app_address,
            target_port=number,
            service_port=entries[0][1],
            host=entries[0][0].hostname,
            services=tuple(dict.fromkeys(service for service, _, _ in entries)),
            stated_pool=pool,
        )


def _stated(node: Node, listener: IstioIngressListener) -> InboundPort:
    number = listener.port.number if listener.port is not None else 0
    name = listener.port.protocol if listener.port is not None else ""
    captured = node.proxy.captures and listener.capture_mode is not CaptureMode.NONE
    address, target_port = _endpoint(node, listener.default_endpoint, number, captured=captured)
    default_pool = node.sidecar.inbound_connection_pool if node.sidecar is not None else None
    origin = node.scope.sidecar.key if node.scope.sidecar is not None else None
    bind = listener.bind or node.proxy.bind_address or node.unicast or node.wildcards[0]
    return InboundPort(
        number=number,
        protocol=protocol.parse(name),
        label=bind,
        bind="" if captured else bind,
        address=address,
        target_port=target_port,
        service_port=number,
        host=f"{origin.name}.{origin.namespace}" if origin is not None else "",
        services=tuple(dict.fromkeys(target.service for target in node.targets if target.number == number))[:1],
        stated_pool=listener.connection_pool or default_pool,
        origin=origin,
    )


def _endpoint(node: Node, stated: str, number: int, *, captured: bool) -> tuple[str, int]:
    """Where the application listens: as stated, else where the connection was going, else on the same port."""
    local = node.proxy.app_address
    if stated.startswith("unix://"):
        return stated, 0
    if not stated:
        return ("" if captured and not local else local or node.localhosts[0]), number
    host, _, port = stated.rpartition(":")
    host = host.strip("[]")
    if host in WILDCARDS:
        found = next((address for address in node.proxy.addresses if _alike(address, host)), "")
        found = found or LOCALHOSTS[WILDCARDS.index(host)]
    else:  # localhost; of the family that is stated, where the proxy has it
        found = next((address for address in node.localhosts if _alike(address, host)), node.localhosts[0])
    return local or found, int(port)


def _alike(address: str, other: str) -> bool:
    """Both of one version of IP."""
    return (":" in address) == (":" in other)
