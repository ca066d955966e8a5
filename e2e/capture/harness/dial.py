"""A client that knows nothing: connects, and prints what it is told until the other side closes.

python dial.py ADDRESS PORT [SOURCE]
"""

from __future__ import annotations

import socket
import sys

SECONDS = 5


def main() -> None:
    address, port, *source = sys.argv[1:]
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family) as client:
        client.settimeout(SECONDS)
        if source:
            client.bind((source[0], 0))
        client.connect((address, int(port)))
        while data := client.recv(4096):
            sys.stdout.write(data.decode())


if __name__ == "__main__":
    main()
