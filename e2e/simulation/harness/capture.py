"""Both ends of a captured connection: what the client sends and reads, and endpoints that tell their cluster."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

from envoy.config.cluster.v3 import cluster_pb2
from google.protobuf import duration_pb2
from simulation.harness.connect import Connect, Outcome
from simulation.harness.greeter import greeter
from simulation.harness.instrument import CLUSTER_HEADER, ROUTE_HEADER
from simulation.harness.world import World

STALL_SECONDS = 10
CAPTURING = {False: "virtualOutbound", True: "virtualInbound"}
"""The listener that takes a connection, by whether it is inbound."""
Decide: TypeAlias = Callable[[Connect], Outcome]
"""What a proxy does with a connection; a stall is a TimeoutError."""


@contextmanager
def reachable(*worlds: World, servers_first: bool) -> Iterator[list[cluster_pb2.Cluster]]:
    """The clusters of worlds, each led to an endpoint that tells its name, before it is spoken to or after."""
    found = dict.fromkeys(cluster.name for world in worlds for cluster in world.clusters)
    names = [name for name in found if name != "BlackHoleCluster"]
    with greeter(names, first=servers_first) as server:
        yield [_cluster(name, server.addresses.get(name, ""), server.port) for name in (*names, "BlackHoleCluster")]


def _cluster(name: str, address: str, port: int) -> cluster_pb2.Cluster:
    cluster = cluster_pb2.Cluster(
        name=name, type=cluster_pb2.Cluster.STATIC, connect_timeout=duration_pb2.Duration(seconds=5)
    )
    cluster.load_assignment.cluster_name = name
    if address:
        endpoint = cluster.load_assignment.endpoints.add().lb_endpoints.add().endpoint
        endpoint.address.socket_address.address = address
        endpoint.address.socket_address.port_value = port
    return cluster


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


def read_outcome(connection: socket.socket) -> Outcome:
    """What the client can tell from what it gets."""
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
