"""Gateway: servers, their ports and hosts. TLS settings are in `servertls`."""

from collections.abc import Iterator

from mizzen.api import protocol, syntax
from mizzen.api.gateway import Gateway, Server, ServerTLSMode, ServerTLSSettings
from mizzen.api.problem import Path
from mizzen.api.resource import Metadata
from mizzen.api.rules import Finding, check_labels, error, warning
from mizzen.api.rules.servertls import check_server_tls

PROTOCOLS = "HTTP, HTTPS, GRPC, GRPC-WEB, HTTP2, MONGO, REDIS, MYSQL, TCP, TLS"


def check(spec: Gateway, metadata: Metadata) -> Iterator[Finding]:
    """All rules of a Gateway."""
    if not spec.servers:
        yield error(("servers",), "needs at least one server")
    names: dict[str, int] = {}
    for index, server in enumerate(spec.servers):
        at = ("servers", index)
        yield from _check_server(server, at)
        name = server.port.name if server.port is not None else ""
        if name and names.setdefault(name, index) != index:
            yield error(
                (*at, "port", "name"), f"{name!r} is already the port of servers[{names[name]}]; names are unique"
            )
    yield from check_labels(spec.selector, ("selector",))


def _check_server(server: Server, at: Path) -> Iterator[Finding]:
    if not server.hosts:
        yield error((*at, "hosts"), "needs at least one host; '*' for any")
    yield from check_bind(server.bind, (*at, "bind"))
    yield from _check_port(server, (*at, "port"))
    if server.tls is not None:
        yield from check_server_tls(server.tls, (*at, "tls"))
    if server.port is None or not protocol.is_known(server.port.protocol):
        return
    name = server.port.protocol
    if protocol.is_tls(name):
        if server.tls is None:
            yield error((*at, "tls"), f"is required for protocol {name}")
    elif server.tls is not None:
        yield from _check_plain_tls(server.tls, name, (*at, "tls"))


def _check_plain_tls(tls: ServerTLSSettings, name: str, at: Path) -> Iterator[Finding]:
    """On a port without TLS, only a redirect to the port that has it makes sense."""
    if not protocol.is_http(name):
        yield error(at, f"protocol {name} has no TLS; use HTTPS or TLS")
    elif tls.mode is not ServerTLSMode.PASSTHROUGH or tls.ca_certificates or tls.private_key or tls.server_certificate:
        yield error(at, f"protocol {name} has no TLS; only httpsRedirect is possible here, or use protocol HTTPS")
    if tls.https_redirect and not protocol.is_http(name):
        yield warning((*at, "httpsRedirect"), "has no effect on ports that are not HTTP")


def _check_port(server: Server, at: Path) -> Iterator[Finding]:
    port = server.port
    if port is None:
        yield error(at, "is required")
        return
    if not port.name:
        yield error((*at, "name"), "is required")
    if not protocol.is_known(port.protocol) or port.protocol.upper() == "UDP":
        message = (
            f"must be one of {PROTOCOLS}, got {port.protocol!r}"
            if port.protocol
            else f"is required: one of {PROTOCOLS}"
        )
        yield error((*at, "protocol"), message)
    if port.number is None and not server.bind.startswith(syntax.UNIX):
        yield error((*at, "number"), "is required")
    if port.number is not None and server.bind.startswith(syntax.UNIX):
        yield error((*at, "number"), "must be left out: bind is a Unix socket")
    if port.target_port:
        yield error((*at, "targetPort"), "has no effect on a Gateway; remove it")


def check_bind(bind: str, at: Path) -> Iterator[Finding]:
    """An IP address, or `unix://` and an absolute path (or an abstract name)."""
    if bind.startswith(syntax.UNIX):
        if not syntax.is_socket_path(bind.removeprefix(syntax.UNIX)):
            yield error(at, f"{bind!r} is not unix:// with an absolute path of a file")
    elif bind and not syntax.is_address(bind):
        yield error(at, f"{bind!r} is not an IP address or unix:// path")
