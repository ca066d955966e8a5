"""A stock Envoy that believes its connections were captured: the PROXY protocol says where each was going.

Everything is as Pilot generates it for a captured sidecar, except that every cluster has an endpoint that tells its
name, and that the two capturing listeners read a PROXY header where the kernel would say the original destination. They
are on Unix sockets, of which no kernel says any.
"""

from __future__ import annotations

import ipaddress
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.listener.v3 import listener_pb2
from envoy.extensions.filters.listener.proxy_protocol.v3 import proxy_protocol_pb2
from google.protobuf import duration_pb2
from simulation.harness.connect import Connect, Outcome
from simulation.harness.envoy import RealEnvoy, running
from simulation.harness.greeter import Greeter, greeter
from simulation.harness.instrument import CLUSTER_HEADER, ROUTE_HEADER, inline_routes
from simulation.harness.world import World

CAPTURING = ("virtualOutbound", "virtualInbound")
STALL_SECONDS = 10


@contextmanager
def captured(world: World, folder: Path, *, servers_first: bool) -> Iterator[RealEnvoy]:
    """Envoy as the proxy of a world, in which servers speak before they are spoken to, or after."""
    names = [cluster.name for cluster in world.clusters if cluster.name != "BlackHoleCluster"]
    with greeter(names, first=servers_first) as server:
        clusters = [_cluster(cluster, server) for cluster in world.clusters]
        with running(folder, [_listener(listener, world, folder) for listener in world.listeners], clusters) as envoy:
            yield envoy


def _listener(generated: listener_pb2.Listener, world: World, folder: Path) -> listener_pb2.Listener:
    listener = listener_pb2.Listener()
    listener.CopyFrom(generated)
    inline_routes(listener, world)
    if listener.name in CAPTURING:
        listener.address.pipe.path = str(folder / listener.name)
        del listener.additional_addresses[:]
        others = list(listener.listener_filters)
        del listener.listener_filters[:]
        first = listener.listener_filters.add(name="envoy.filters.listener.proxy_protocol")
        first.typed_config.Pack(proxy_protocol_pb2.ProxyProtocol())
        listener.listener_filters.extend(others)
    return listener


def _cluster(generated: cluster_pb2.Cluster, server: Greeter) -> cluster_pb2.Cluster:
    cluster = cluster_pb2.Cluster(
        name=generated.name, type=cluster_pb2.Cluster.STATIC, connect_timeout=duration_pb2.Duration(seconds=5)
    )
    cluster.load_assignment.cluster_name = generated.name
    if generated.name in server.addresses:
        endpoint = cluster.load_assignment.endpoints.add().lb_endpoints.add().endpoint
        endpoint.address.socket_address.address = server.addresses[generated.name]
        endpoint.address.socket_address.port_value = server.port
    return cluster


def outcome(envoy: RealEnvoy, connect: Connect) -> Outcome:
    """What Envoy does with a connection; a stall is a TimeoutError."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(STALL_SECONDS)
        connection.connect(str(envoy.folder / ("virtualInbound" if connect.inbound else "virtualOutbound")))
        connection.sendall(_proxy_header(connect) + first_bytes(connect))
        return _read(connection)


def _proxy_header(connect: Connect) -> bytes:
    version = ipaddress.ip_address(connect.address).version
    source = "fd00::77" if version == 6 else "10.7.7.7"
    family = "TCP6" if version == 6 else "TCP4"
    return f"PROXY {family} {source} {connect.address} 40000 {connect.port}\r\n".encode()


def first_bytes(connect: Connect) -> bytes:
    """What the client sends before it has heard anything."""
    if connect.sends == "http":
        return f"GET / HTTP/1.1\r\nhost: {connect.host or connect.address}\r\nconnection: close\r\n\r\n".encode()
    if connect.sends == "tls":
        return _client_hello(connect.host)
    return b"\x01\x02\x03 neither HTTP nor TLS\r\n" if connect.sends == "bytes" else b""


def _client_hello(name: str) -> bytes:
    context = ssl.create_default_context()
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    handshake = context.wrap_bio(incoming, outgoing, server_hostname=name)
    try:
        handshake.do_handshake()
    except ssl.SSLWantReadError:
        return outgoing.read()
    raise AssertionError("a handshake cannot end before the server has answered")


def _read(connection: socket.socket) -> Outcome:
    received = b""
    try:
        while data := connection.recv(65536):
            received += data
            if not received.startswith(b"HTTP/"):
                return Outcome("tcp", received.decode())
    except ConnectionResetError:
        received = b""
    if not received:
        return Outcome("closed")
    head, _, body = received.partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    code, route = int(status.split()[1]), headers.get(ROUTE_HEADER, "")
    if code != 200:
        return Outcome("respond", route=route, status=code)
    by_cluster = headers.get(CLUSTER_HEADER)
    if by_cluster is None:
        return Outcome("tcp", body.decode())
    assert by_cluster == body.decode()
    return Outcome("http", by_cluster, route)
