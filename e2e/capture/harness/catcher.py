"""A program in place of the proxy: tells every client which port took its connection, and where it meant to go.

    python catcher.py 15001 15006 8080 ...

It listens on each port, on all addresses of both families, and prints `ready` then. The answer to a connection is one
line, `PORT ADDRESS ORIGINAL-PORT`: the port that took it, and the destination before any redirection. A datagram to
port 15053, where the proxy answers DNS, is sent back.
"""

from __future__ import annotations

import socket
import socketserver
import sys
import threading

from mizzen.injector.proxyinit.probe import original_destination

DNS_PORT = 15053


class Handler(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        try:
            address, port = original_destination(self.request)
        except OSError:
            address, port = self.request.getsockname()[:2]  # nothing redirected it
        taken = self.request.getsockname()[1]
        self.request.sendall(f"{taken} {address} {port}\n".encode())


class Server4(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


class Server6(Server4):
    address_family = socket.AF_INET6

    def server_bind(self) -> None:
        self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        super().server_bind()


class Echo(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        data, server = self.request
        server.sendto(data, self.client_address)


class Datagrams6(socketserver.UDPServer):
    address_family = socket.AF_INET6


def main() -> None:
    # On loopback's addresses: from the wildcard, an answer would leave by another address than the question came to.
    questions = (socketserver.UDPServer(("127.0.0.1", DNS_PORT), Echo), Datagrams6(("::1", DNS_PORT), Echo))
    servers: list[socketserver.BaseServer] = [*questions]
    for port in map(int, sys.argv[1:]):
        servers += [Server4(("0.0.0.0", port), Handler), Server6(("::", port), Handler)]
    for server in servers:
        threading.Thread(target=server.serve_forever).start()
    sys.stdout.write("ready\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
