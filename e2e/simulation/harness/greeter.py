"""An endpoint of every cluster: it says which cluster it was reached by, to requests and to anything else."""

from __future__ import annotations

import ipaddress
import socketserver
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

FIRST_ADDRESS = int(ipaddress.ip_address("127.9.0.1"))


@dataclass(frozen=True)
class Greeter:
    """One server behind one loopback address for each cluster."""

    port: int
    addresses: dict[str, str]
    """By cluster."""


@contextmanager
def greeter(clusters: Iterable[str], *, first: bool) -> Iterator[Greeter]:
    """A running one; it speaks first, or once the client has."""
    addresses = {name: str(ipaddress.ip_address(FIRST_ADDRESS + index)) for index, name in enumerate(clusters)}
    by_address = {address: name for name, address in addresses.items()}

    class Connection(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            name = by_address[self.request.getsockname()[0]].encode()
            begin = b"" if first else self.request.recv(65536)
            if b" HTTP/1.1\r\n" in begin:
                self.request.sendall(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: %d\r\n\r\n" % len(name))
            self.request.sendall(name)

    class Server(socketserver.ThreadingTCPServer):
        allow_reuse_address = True
        request_queue_size = 128

    with Server(("0.0.0.0", 0), Connection) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield Greeter(server.server_address[1], addresses)
        finally:
            server.shutdown()
            thread.join()
