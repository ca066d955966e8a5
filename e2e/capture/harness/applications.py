"""The applications of a workload, which know nothing of a mesh.

    python applications.py NAME HTTP-PORT GREETER-PORT

The HTTP server answers with a JSON object: its `name`, the `peer` it sees, the request's `path` and `headers`. The
greeter speaks first, as SMTP does, repeats one line and closes. Both listen on all addresses of both families.
"""

from __future__ import annotations

import json
import socket
import socketserver
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class DualStack:
    address_family = socket.AF_INET6
    allow_reuse_address = True
    daemon_threads = True


class Web(DualStack, ThreadingHTTPServer):
    name = ""


class Greeter(DualStack, socketserver.ThreadingTCPServer):
    name = ""


class Requests(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Web

    def do_GET(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        seen = {"name": self.server.name, "peer": self.client_address[0], "path": self.path, "headers": headers}
        body = json.dumps(seen).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class Conversation(socketserver.StreamRequestHandler):
    server: Greeter
    timeout = 30

    def handle(self) -> None:
        self.wfile.write(f"220 {self.server.name} is ready\n".encode())
        self.wfile.write(b"250 " + self.rfile.readline())


def main() -> None:
    name, web_port, greeter_port = sys.argv[1:]
    servers = (Web(("::", int(web_port)), Requests), Greeter(("::", int(greeter_port)), Conversation))
    for server in servers:
        server.name = name
        threading.Thread(target=server.serve_forever).start()
    sys.stdout.write("ready\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
