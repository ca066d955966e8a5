"""A client that knows nothing of a proxy: connects, and prints all that it hears.

With `--say` it says a line and hears the rest; with `--hear-first` it waits for a line before that, as a client of SMTP
or MySQL does.
"""

from __future__ import annotations

import argparse
import socket
import sys

SECONDS = 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("address")
    parser.add_argument("port", type=int)
    parser.add_argument("--source", help="the address to connect from")
    parser.add_argument("--say")
    parser.add_argument("--hear-first", action="store_true")
    given = parser.parse_args()
    with socket.socket(socket.AF_INET6 if ":" in given.address else socket.AF_INET) as client:
        client.settimeout(SECONDS)
        if given.source:
            client.bind((given.source, 0))
        client.connect((given.address, given.port))
        with client.makefile("rw", encoding="utf-8", newline="\n") as stream:
            if given.hear_first:
                sys.stdout.write(stream.readline())
            if given.say:
                stream.write(given.say + "\n")
                stream.flush()
            sys.stdout.write(stream.read())


if __name__ == "__main__":
    main()
