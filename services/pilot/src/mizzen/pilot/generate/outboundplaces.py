"""Where the outbound listeners of services are: at their own addresses, at their endpoints, or at one for all."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass, replace

from mizzen.api.sidecar import IstioEgressListener
from mizzen.api.types import CaptureMode
from mizzen.pilot.generate.node import Node
from mizzen.pilot.snapshot.scope import Egress
from mizzen.pilot.snapshot.service import Port, Resolution, Service


@dataclass(frozen=True, slots=True)
class Place:
    """Where a listener is, and how it tells one service from others there."""

    addresses: tuple[str, ...]
    """One or more; the first is part of its name."""
    bound: bool
    """It has a socket; otherwise connections are handed over by the capturing listener."""
    shared: bool = False
    """Other services may be reached there as well, and traffic that is for none."""
    destination: str = ""
    """The CIDR range of the one service."""
    by_name: bool = False
    """Nothing but the name that TLS clients ask for tells the one service from others."""


def shared_place(node: Node, listener: IstioEgressListener | None) -> Place:
    """The place of everything that needs no address of its own: HTTP, which has the Host header."""
    stated = listener.bind if listener is not None else ""
    uncaptured = listener is not None and listener.capture_mode is CaptureMode.NONE
    bound = not node.proxy.captures or uncaptured or stated.startswith("unix://")
    if stated:
        return Place((stated,), bound, shared=bound)
    return Place(node.localhosts if bound else node.wildcards, bound, shared=True)


def places(node: Node, service: Service, port: Port, egress: Egress) -> Iterator[Place]:
    """The places of a port that is not known to speak HTTP."""
    everywhere = shared_place(node, egress.listener)
    stated = egress.listener is not None and bool(egress.listener.bind)
    if everywhere.bound or stated:
        yield replace(everywhere, by_name=everywhere.bound and not service.addresses)
        return
    if egress.port is None and listens_by_endpoint(service):
        known = dict.fromkeys(endpoint.address for endpoint in node.mesh.endpoints_of(service, port.name))
        if known or service.kubernetes:
            yield from (Place((address,), bound=False) for address in known if _is_elsewhere(node, address))
            return
    single = _of_families(node, service, [address for address in service.addresses if "/" not in address])
    if single:
        yield Place(tuple(single), bound=False)
    for address in service.addresses:
        if "/" in address:
            yield replace(everywhere, destination=address)
    if not service.addresses:
        yield replace(everywhere, by_name=True)


def listens_by_endpoint(service: Service) -> bool:
    """Whether captured clients need a listener for each endpoint of a service, having no other address to call.

    So it is with headless Kubernetes services, and with those of a platform that gives services no address. HTTP is
    told by its Host header.
    """
    if service.addresses or service.external_name or all(port.protocol.is_http for port in service.ports):
        return False
    return service.kubernetes or service.resolution is Resolution.PASSTHROUGH


def _of_families(node: Node, service: Service, addresses: list[str]) -> list[str]:
    """A Kubernetes service has an address for each family of the cluster; a stated one is taken as it is."""
    if not service.kubernetes:
        return addresses
    known = [a for a in addresses if node.proxy.has_family(ipaddress.ip_address(a).version)]
    return known or addresses[:1]


def _is_elsewhere(node: Node, address: str) -> bool:
    """An IP, and not the proxy's own: what a workload sends to itself does not leave."""
    try:
        ipaddress.ip_address(address)
    except ValueError:
        return False
    return address not in node.proxy.addresses
