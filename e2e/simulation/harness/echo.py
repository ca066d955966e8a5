"""An endpoint that answers with what it was asked."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from simulation.harness.call import UPSTREAM_HEADERS


class Echo(BaseHTTPRequestHandler):
    """Answers every method with a JSON object of method, path, and headers in order."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def __getattr__(self, name: str) -> Any:
        if name.startswith("do_"):
            return self.echo
        raise AttributeError(name)

    def echo(self) -> None:
        self.rfile.read(int(self.headers.get("content-length", 0)))
        path = self.requestline.split(" ")[1]  # self.path has lost a slash when it began with two
        body = json.dumps({"method": self.command, "path": path, "headers": self.headers.items()}).encode()
        self.send_response_only(200)
        for name, value in UPSTREAM_HEADERS:
            self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        """Tests are quiet."""


@contextmanager
def echo_server() -> Iterator[int]:
    """The port of 127.0.0.1 where it listens."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Echo) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()
