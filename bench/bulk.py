"""Bytes as fast as they come: a source that sends to whoever connects, and a sink that counts what it reads.

python bulk.py source PORT
python bulk.py sink HOST PORT SECONDS      prints {"bytes": n, "seconds": s}
"""

from __future__ import annotations

import json
import os
import socket
import sys
import time

CHUNK = 1 << 20
WARM_UP_SECONDS = 0.3


def source(port: int) -> None:
    """Serve one connection after the other; the kernel copies from a file in memory (sendfile)."""
    memory = os.memfd_create("bulk")
    os.truncate(memory, CHUNK)
    with socket.create_server(("127.0.0.1", port)) as server:
        while True:
            connection, _ = server.accept()
            with connection:
                try:
                    while True:
                        os.sendfile(connection.fileno(), memory, 0, CHUNK)
                except ConnectionError:
                    continue


def sink(host: str, port: int, seconds: float) -> dict[str, float]:
    """Read for some seconds after a short warm-up."""
    buffer = bytearray(CHUNK)
    with socket.create_connection((host, port), timeout=10) as connection:
        _read(connection, buffer, WARM_UP_SECONDS)
        began = time.perf_counter()
        count = _read(connection, buffer, seconds)
        return {"bytes": count, "seconds": time.perf_counter() - began}


def _read(connection: socket.socket, buffer: bytearray, seconds: float) -> int:
    end = time.perf_counter() + seconds
    count = 0
    while time.perf_counter() < end:
        size = connection.recv_into(buffer)
        if not size:
            raise ConnectionError("the stream ended early")
        count += size
    return count


if __name__ == "__main__":
    if sys.argv[1] == "source":
        source(int(sys.argv[2]))
    else:
        print(json.dumps(sink(sys.argv[2], int(sys.argv[3]), float(sys.argv[4]))))
