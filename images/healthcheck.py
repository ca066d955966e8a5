"""In an image: is `GET PATH` at HOST:PORT answered with 200? `healthcheck.py HOST:PORT PATH`; exit status 0 or 1.

Only `socket`: it runs every few seconds in every container, and `http.client` alone would take four times as long.
"""

from __future__ import annotations

import socket
import sys

TIMEOUT_SECONDS = 2.0


def status_line(address: str, path: str) -> str:
    """The first line of the answer, "" where none came; OSError when nobody answers in time."""
    host, _, port = address.rpartition(":")
    with socket.create_connection((host.strip("[]"), int(port)), TIMEOUT_SECONDS) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n".encode())
        with connection.makefile("rb") as answer:
            return answer.readline(256).decode("latin-1").rstrip()


def main() -> int:
    address, path = sys.argv[1:]
    try:
        line = status_line(address, path)
    except OSError as error:
        line = str(error)
    print(line)  # what `docker inspect` shows
    return 0 if line.startswith("HTTP/1.1 200") else 1


if __name__ == "__main__":
    sys.exit(main())
