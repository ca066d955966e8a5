"""A program in place of the proxy: tells every client which port took its connection, and where it meant to go.

    python catcher.py 15001 15006 8080 ...

It listens on each port, on all addresses of both families, and prints `ready` then. The answer to a connection is one
line, `PORT ADDRESS ORIGINAL-PORT`: the port that took it, and the destination before any redirection.
"""

from __future__ import annotations

import socket
import socketserver
import sys
import threading

from mizzen.injector.proxyinit.probe import original_destination


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


def main() -> None:
    threads = []
    for port in map(int, sys.argv[1:]):
        for server in (Server4(("0.0.0.0", port), Handler), Server6(("::", port), Handler)):
            threads.append(threading.Thread(target=server.serve_forever))
            threads[-1].start()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main()
