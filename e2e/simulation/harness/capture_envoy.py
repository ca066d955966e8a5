"""A stock Envoy that believes its connections were captured: the PROXY protocol says where each was going.

Everything is as Pilot generates it for a captured sidecar, except that the two capturing listeners read a PROXY header
where the kernel would say the original destination. They are on Unix sockets, of which no kernel says any.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from envoy.config.listener.v3 import listener_pb2
from envoy.extensions.filters.listener.proxy_protocol.v3 import proxy_protocol_pb2
from simulation.harness.capture import CAPTURING, STALL_SECONDS, Decide, first_bytes, reachable, read_outcome
from simulation.harness.connect import Connect, Outcome
from simulation.harness.envoy import running
from simulation.harness.instrument import inlined
from simulation.harness.world import World


@contextmanager
def captured_envoy(world: World, folder: Path, *, servers_first: bool) -> Iterator[Decide]:
    """Envoy as the proxy of a world."""
    with reachable(world, servers_first=servers_first) as clusters:
        listeners = [_listener(inlined(listener, world), folder) for listener in world.listeners]
        with running(folder, listeners, clusters):
            yield lambda connect: _outcome(connect, folder)


def _listener(listener: listener_pb2.Listener, folder: Path) -> listener_pb2.Listener:
    if listener.name in CAPTURING.values():
        listener.address.pipe.path = str(folder / listener.name)
        del listener.additional_addresses[:]
        others = list(listener.listener_filters)
        del listener.listener_filters[:]
        first = listener.listener_filters.add(name="envoy.filters.listener.proxy_protocol")
        first.typed_config.Pack(proxy_protocol_pb2.ProxyProtocol())
        listener.listener_filters.extend(others)
    return listener


def _outcome(connect: Connect, folder: Path) -> Outcome:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(STALL_SECONDS)
        connection.connect(str(folder / CAPTURING[connect.inbound]))
        connection.sendall(_proxy_header(connect) + first_bytes(connect))
        return read_outcome(connection)


def _proxy_header(connect: Connect) -> bytes:
    version = ipaddress.ip_address(connect.address).version
    source = "fd00::77" if version == 6 else "10.7.7.7"
    family = "TCP6" if version == 6 else "TCP4"
    return f"PROXY {family} {source} {connect.address} 40000 {connect.port}\r\n".encode()
