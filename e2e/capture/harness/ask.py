"""A client of DNS that knows nothing: sends a datagram to port 53 of each address, and prints what comes back.

All questions leave from one port, as a resolver's may.
"""

from __future__ import annotations

import socket
import sys

SECONDS = 5


def main() -> None:
    for family in (socket.AF_INET, socket.AF_INET6):
        with socket.socket(family, socket.SOCK_DGRAM) as client:
            client.settimeout(SECONDS)
            for address in sys.argv[1:]:
                if (":" in address) == (family == socket.AF_INET6):
                    client.sendto(f"who is {address}?".encode(), (address, 53))
                    answer, source = client.recvfrom(512)
                    sys.stdout.write(f"{source[0]} {source[1]} {answer.decode()}\n")


if __name__ == "__main__":
    main()
