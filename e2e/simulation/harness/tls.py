"""Clients that speak TLS to a gateway, and a gateway's listener as Istio generates it, for either data plane.

Certificates are in files, which a stock Envoy reads at its start and our agent by their names.
"""

from __future__ import annotations

import json
import random
import socket
import ssl
from asyncio import get_running_loop
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import Any, TypeAlias

from envoy.config.listener.v3 import listener_pb2
from envoy.extensions.filters.http.router.v3 import router_pb2  # noqa: F401  # registers the type for json_format
from envoy.extensions.filters.listener.tls_inspector.v3 import tls_inspector_pb2  # noqa: F401
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2  # noqa: F401
from envoy.extensions.filters.network.tcp_proxy.v3 import tcp_proxy_pb2  # noqa: F401
from envoy.extensions.transport_sockets.tls.v3 import tls_pb2  # noqa: F401
from google.protobuf import json_format
from simulation.harness.echo import echo_server
from simulation.harness.envoy import running
from simulation.harness.instrument import echo_cluster
from simulation.harness.simulate import compiled
from simulation.harness.worker import STALL_SECONDS, started

from mizzen.proxy.app.secrets.files import FileSecrets
from mizzen.proxy.engine.control import Update
from mizzen.proxy.io.runtime import Runtime

TYPES = "type.googleapis.com/envoy.extensions"
NAME, CLUSTER = "gateway", "echo"


@dataclass(frozen=True)
class Hello:
    """What a client says, and what it has."""

    server_name: str
    certificate: str = ""
    """Name of the files of its certificate; empty for none."""
    protocols: tuple[str, ...] = ()
    """ALPN."""
    highest: str = "TLSv1_3"
    ciphers: str = ""
    """Of TLS 1.2."""


@dataclass(frozen=True)
class Outcome:
    """What came of it; all empty for a client that got no answer."""

    certificate: str = ""
    """The first alternative name of the server's."""
    status: int = 0
    protocol: str | None = None
    version: str = ""
    client: tuple[str, ...] = ()
    """What the endpoint learns of the client (x-forwarded-client-cert), by name."""


Say: TypeAlias = Callable[[Hello], Outcome]


@dataclass(frozen=True)
class Server:
    """A filter chain of the gateway for one server name."""

    name: str
    context: dict[str, Any] = field(default_factory=dict)
    """DownstreamTlsContext; empty passes TLS through."""
    client_cert: str = "SANITIZE_SET"


def listener(servers: tuple[Server, ...], port: int) -> listener_pb2.Listener:
    """A gateway's; Envoy itself chooses for port 0."""
    inspector = {"name": "tls", "typed_config": {"@type": f"{TYPES}.filters.listener.tls_inspector.v3.TlsInspector"}}
    plain = {
        "name": NAME,
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": port}},
        "traffic_direction": "OUTBOUND",
        "listener_filters": [inspector],
        "filter_chains": [_chain(server) for server in servers],
    }
    return json_format.ParseDict(plain, listener_pb2.Listener())


def _chain(server: Server) -> dict[str, Any]:
    chain: dict[str, Any] = {
        "filter_chain_match": {"server_names": [server.name], "transport_protocol": "tls"},
        "filters": [_manager(server) if server.context else _tcp(f"inner-{server.name}")],
    }
    if server.context:
        typed = {"@type": f"{TYPES}.transport_sockets.tls.v3.DownstreamTlsContext"} | server.context
        chain["transport_socket"] = {"name": "envoy.transport_sockets.tls", "typed_config": typed}
    return chain


def _tcp(cluster: str) -> dict[str, Any]:
    typed = {"@type": f"{TYPES}.filters.network.tcp_proxy.v3.TcpProxy", "stat_prefix": cluster, "cluster": cluster}
    return {"name": "envoy.filters.network.tcp_proxy", "typed_config": typed}


def _manager(server: Server) -> dict[str, Any]:
    router = {"name": "router", "typed_config": {"@type": f"{TYPES}.filters.http.router.v3.Router"}}
    route = {"match": {"prefix": "/"}, "route": {"cluster": CLUSTER}}
    typed = {
        "@type": f"{TYPES}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": server.name,
        "use_remote_address": True,
        "forward_client_cert_details": server.client_cert,
        "set_current_client_cert_details": {"subject": True, "cert": True, "dns": True, "uri": True},
        "route_config": {"name": "r", "virtual_hosts": [{"name": "v", "domains": ["*"], "routes": [route]}]},
        "http_filters": [router],
    }
    return {"name": "envoy.filters.network.http_connection_manager", "typed_config": typed}


# -- gateways -------------------------------------------------------------------------------------------------------


@contextmanager
def envoy_gateway(
    servers: tuple[Server, ...], inner: dict[str, int], certificates: Path, folder: Path
) -> Iterator[Say]:
    """A stock Envoy; `inner` are ports of servers that TLS is passed through to, by name."""
    with echo_server() as echo:
        clusters = [echo_cluster(name, port) for name, port in _clusters(echo, inner)]
        with running(folder, [listener(servers, 0)], clusters) as envoy:
            yield lambda hello: say(hello, envoy.ports[NAME], certificates)


@contextmanager
def mizzen_gateway(servers: tuple[Server, ...], inner: dict[str, int], certificates: Path) -> Iterator[Say]:
    """Our engine."""
    ports: list[int] = []

    async def start() -> Runtime:
        runtime = Runtime(get_running_loop(), random.random)
        bound = socket.create_server(("127.0.0.1", 0))
        ports.append(bound.getsockname()[1])
        plan = compiled(listener(servers, ports[0]))
        secrets = FileSecrets(_nobody).want(plan.secrets)
        clusters = [compiled(echo_cluster(name, port)) for name, port in _clusters(echo, inner)]
        await runtime.apply(Update(1, (*secrets, *clusters, plan), (), (NAME,)), {NAME: bound})
        return runtime

    with echo_server() as echo, started(start):
        yield lambda hello: say(hello, ports[0], certificates)


def _clusters(echo: int, inner: dict[str, int]) -> list[tuple[str, int]]:
    return [(CLUSTER, echo), *((f"inner-{name}", port) for name, port in inner.items())]


async def _nobody(_: Any) -> None:
    """Files do not change here."""


# -- clients --------------------------------------------------------------------------------------------------------


def say(hello: Hello, port: int, certificates: Path) -> Outcome:
    """Shake hands, and ask for `/` with a forged x-forwarded-client-cert."""
    context = ssl.create_default_context(cafile=str(certificates / "root.pem"))
    context.check_hostname = False
    context.maximum_version = getattr(ssl.TLSVersion, hello.highest)
    if hello.certificate:
        context.load_cert_chain(*(certificates / f"{hello.certificate}.{kind}" for kind in ("crt", "key")))
    if hello.protocols:
        context.set_alpn_protocols(list(hello.protocols))
    if hello.ciphers:
        context.set_ciphers(hello.ciphers)
    try:
        with (
            socket.create_connection(("127.0.0.1", port), STALL_SECONDS) as raw,
            context.wrap_socket(raw, server_hostname=hello.server_name) as connection,
        ):
            return _ask(connection, hello)
    except (OSError, HTTPException):
        return Outcome()


def _ask(connection: ssl.SSLSocket, hello: Hello) -> Outcome:
    head = f"GET / HTTP/1.1\r\nHost: {hello.server_name}\r\nx-forwarded-client-cert: By=forged\r\n\r\n"
    connection.sendall(head.encode())
    response = HTTPResponse(connection)
    response.begin()
    headers = {name.lower(): value for name, value in json.loads(response.read())["headers"]}
    shown: Any = connection.getpeercert()
    return Outcome(
        shown["subjectAltName"][0][1],
        response.status,
        connection.selected_alpn_protocol(),
        connection.version() or "",
        _names(headers.get("x-forwarded-client-cert", "")),
    )


def _names(header: str) -> tuple[str, ...]:
    """Of the parts, by hop; and those values that both data planes know beforehand."""
    found = []
    for part in header.replace(",", ";").split(";") if header else ():
        name, _, value = part.partition("=")
        found.append(part if name in ("By", "URI", "DNS") else name if value else "")
    return tuple(found)
