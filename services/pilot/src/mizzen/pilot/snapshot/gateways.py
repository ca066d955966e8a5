"""The servers of a gateway proxy: selected by labels, translated to the ports it listens on, merged per port."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mizzen.api.gateway import Gateway, Server, ServerTLSMode, ServerTLSSettings
from mizzen.api.resource import Resource
from mizzen.pilot.base import protocol
from mizzen.pilot.base.labels import Labels, labels
from mizzen.pilot.base.protocol import Protocol
from mizzen.pilot.snapshot.targets import Target

_PASSING = (ServerTLSMode.PASSTHROUGH, ServerTLSMode.AUTO_PASSTHROUGH)


@dataclass(frozen=True, slots=True)
class HttpServer:
    """A plain HTTP server of a Gateway."""

    gateway: str
    """`<namespace>/<name>`."""
    name: str
    port: int
    """As the Gateway states it; the listener's port may be another one."""
    hosts: tuple[tuple[str, str], ...]
    """(namespace or `*`, host)."""
    https_redirect: bool = False


@dataclass(frozen=True, slots=True)
class TcpServer:
    """An opaque TCP server of a Gateway."""

    gateway: str
    name: str
    port: int
    hosts: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class TlsServer:
    """A server of a Gateway whose clients speak TLS, which ends here or is passed through."""

    gateway: str
    name: str
    port: int
    port_name: str
    hosts: tuple[tuple[str, str], ...]
    http: bool
    """HTTP is inside; else bytes."""
    tls: ServerTLSSettings

    @property
    def passes(self) -> bool:
        """TLS is left to the endpoint."""
        return self.tls.mode in _PASSING

    @property
    def automatic(self) -> bool:
        """No routes: clients in the mesh name the service and its port by SNI."""
        return self.tls.mode is ServerTLSMode.AUTO_PASSTHROUGH

    @property
    def plain(self) -> HttpServer:
        """The same behind TLS."""
        return HttpServer(self.gateway, self.name, self.port, self.hosts)


@dataclass(frozen=True, slots=True)
class GatewayPort:
    """An address that a gateway listens on; either HTTP or TCP or TLS."""

    port: int
    bind: str
    """Stated by the servers; empty means the default."""
    http: tuple[HttpServer, ...] = ()
    tcp: tuple[TcpServer, ...] = ()
    tls: tuple[TlsServer, ...] = ()


def selected(gateways: Sequence[Resource[Gateway]], client: Labels) -> list[Resource[Gateway]]:
    """The Gateways for a proxy with these labels, oldest first; one without selector is for every gateway proxy."""
    return [gateway for gateway in gateways if labels(gateway.spec.selector) <= client]


def ports(
    gateways: Sequence[Resource[Gateway]], client: Labels, own: Sequence[Target], *, unprivileged: bool
) -> tuple[GatewayPort, ...]:
    """What a gateway proxy listens on; on a port where HTTP, TCP and TLS meet, the oldest one stays."""
    found: dict[tuple[int, str], GatewayPort] = {}
    for gateway in selected(gateways, client):
        for server in gateway.spec.servers:
            if server.port is None or server.port.number is None:
                continue
            spoken = protocol.parse(server.port.protocol)
            for number in _listener_ports(server.port.number, own):
                if unprivileged and number < 1024:
                    continue
                key = (number, server.bind)
                merged = _merge(found.get(key) or GatewayPort(number, server.bind), gateway, server, spoken)
                if merged is not None:
                    found[key] = merged
    return tuple(found[key] for key in sorted(found))


def _listener_ports(number: int, own: Sequence[Target]) -> list[int]:
    """The target ports of a server's port at the gateway's own services; the port itself where they have none."""
    return list(dict.fromkeys(target.number for target in own if target.port.number == number)) or [number]


def _merge(known: GatewayPort, gateway: Resource[Gateway], server: Server, spoken: Protocol) -> GatewayPort | None:
    reference = f"{gateway.metadata.namespace}/{gateway.metadata.name}"
    hosts = tuple(_scoped(host, gateway.metadata.namespace) for host in server.hosts)
    number = server.port.number if server.port is not None and server.port.number is not None else 0
    if spoken.is_http:
        if known.tcp or known.tls:
            return None
        redirect = server.tls is not None and server.tls.https_redirect
        http = HttpServer(reference, server.name, number, hosts, redirect)
        return GatewayPort(known.port, known.bind, http=(*known.http, http))
    if spoken.is_tcp and not spoken.is_tls:
        if known.http or known.tls:
            return None
        return GatewayPort(known.port, known.bind, tcp=(*known.tcp, TcpServer(reference, server.name, number, hosts)))
    if spoken.is_tls and server.tls is not None:
        port_name = server.port.name if server.port is not None else ""
        http_inside = spoken is Protocol.HTTPS and server.tls.mode not in _PASSING
        tls = TlsServer(reference, server.name, number, port_name, hosts, http_inside, server.tls)
        if known.http or known.tcp or any(_shares_a_host(tls, other) for other in known.tls):
            return None
        return GatewayPort(known.port, known.bind, tls=(*known.tls, tls))
    return None


def _shares_a_host(server: TlsServer, other: TlsServer) -> bool:
    """Clients of one name cannot be shown two certificates; those of PASSTHROUGH are told apart by routes."""
    if server.passes and other.passes:
        return False
    return not {host for _, host in server.hosts}.isdisjoint(host for _, host in other.hosts)


def _scoped(text: str, namespace: str) -> tuple[str, str]:
    scope, found, host = text.rpartition("/")
    if not found:
        return ("*", host.lower())
    return (namespace if scope == "." else scope, host.lower())
