"""What fluentd does with a forward connection, as far as records go."""

from __future__ import annotations

import socketserver
import threading
from typing import Any

import msgpack


class Fluentd:
    """Listens on a port inside a `with` block; `records` are what came."""

    def __init__(self, host: str = "127.0.0.1") -> None:
        self.records: list[dict[str, Any]] = []
        records = self.records

        class Connection(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                unpacker = msgpack.Unpacker()
                while data := self.request.recv(65536):
                    unpacker.feed(data)
                    records.extend(record for message in unpacker for record in _records(message))

        self._server = socketserver.ThreadingTCPServer((host, 0), Connection)
        self._server.daemon_threads = True
        self.address = f"{host}:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever)

    def __enter__(self) -> Fluentd:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(timeout=10)


def _records(message: list[Any]) -> list[dict[str, Any]]:
    """The records of a message in the modes Message, Forward and PackedForward of the forward protocol."""
    entries = message[1]
    if isinstance(entries, bytes):
        unpacker = msgpack.Unpacker()
        unpacker.feed(entries)
        return [record for _, record in unpacker]
    if isinstance(entries, list):
        return [record for _, record in entries]
    return [message[2]]
