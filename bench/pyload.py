"""Load without wrk: a closed loop of clients in one uvloop process.

    python -m bench.pyload CONNECTIONS SECONDS HOST URL

Prints the same line of JSON as `wrk.lua`. One core of Python makes about as many requests as a fast proxy serves, so
figures taken with it understate the faster peer.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import cast
from urllib.parse import urlsplit

import uvloop

CONTENT_LENGTH = b"content-length:"


class Client(asyncio.Protocol):
    """One connection: sends a request, waits for the whole answer, records the time, and again."""

    def __init__(self, request: bytes, latencies: list[float], errors: list[str]) -> None:
        self.request = request
        self.latencies = latencies
        self.errors = errors
        self.buffer = b""
        self.started = 0.0
        self.done = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.send()

    def send(self) -> None:
        self.started = time.perf_counter()
        self.transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        end = self.buffer.find(b"\r\n\r\n")
        if end < 0 or len(self.buffer) < end + 4 + _content_length(self.buffer[:end]):
            return
        self.latencies.append(time.perf_counter() - self.started)
        if self.buffer[9:10] != b"2":
            self.errors.append(self.buffer[:end].decode(errors="replace"))
        self.buffer = b""
        if self.done:
            self.transport.close()
        else:
            self.send()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.done:
            self.errors.append(f"connection lost: {error}")


def _content_length(head: bytes) -> int:
    lower = head.lower()
    start = lower.index(CONTENT_LENGTH) + len(CONTENT_LENGTH)
    return int(lower[start:].split(b"\r\n", 1)[0])


async def load(connections: int, seconds: float, host: str, url: str) -> dict[str, float | str]:
    """Run the clients; the counts of `wrk.lua`."""
    parts = urlsplit(url)
    address, port = parts.hostname or "127.0.0.1", parts.port or 80
    request = f"GET {parts.path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()
    latencies: list[float] = []
    errors: list[str] = []
    loop = asyncio.get_running_loop()
    began = time.perf_counter()
    clients = [
        (await loop.create_connection(lambda: Client(request, latencies, errors), address, port))[1]
        for _ in range(connections)
    ]
    await asyncio.sleep(seconds)
    elapsed = time.perf_counter() - began
    for client in clients:
        client.done = True
    latencies.sort()
    count = len(latencies)
    return {
        "requests": count,
        "duration_us": round(elapsed * 1e6),
        "p50_us": round(latencies[count // 2] * 1e6) if count else 0,
        "p99_us": round(latencies[count * 99 // 100] * 1e6) if count else 0,
        "errors": len(errors),
        "kinds": errors[0] if errors else "",
    }


if __name__ == "__main__":
    print(json.dumps(uvloop.run(load(int(sys.argv[1]), float(sys.argv[2]), sys.argv[3], sys.argv[4]))))
