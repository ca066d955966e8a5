"""Which addresses are free, and who has the others."""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
LISTEN = "0A"
"""The state TCP_LISTEN as /proc/net/tcp writes it."""


@dataclass(frozen=True, slots=True)
class Taken:
    """An address that a mesh needs and somebody else listens on."""

    host: str
    port: int
    owner: str
    """The process, such as "python3 (pid 4711)"; empty when the system does not tell."""

    def __str__(self) -> str:
        return f"{self.host}:{self.port} is taken by {self.owner or 'a process of another user'}"


def taken(addresses: Iterable[tuple[str, int]]) -> list[Taken]:
    """Those of the addresses that cannot be listened on now."""
    return [Taken(host, port, _owner(host, port)) for host, port in addresses if not _is_free(host, port)]


def _is_free(host: str, port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As servers do, so that connections in TIME_WAIT do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen(1)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return False
            raise
    return True


def _owner(host: str, port: int) -> str:
    inodes = {f"socket:[{inode}]" for inode in _listening_inodes(host, port)}
    for entry in PROC.iterdir():
        if not entry.name.isdigit():
            continue
        try:
            if any(str(link.readlink()) in inodes for link in (entry / "fd").iterdir()):
                name = (entry / "comm").read_text().strip()
                return f"{name} (pid {entry.name})"
        except OSError:
            continue  # it ended meanwhile, or is not ours to look at
    return ""


def _listening_inodes(host: str, port: int) -> Iterator[str]:
    wanted = {_hexadecimal(host), _hexadecimal("0.0.0.0")}
    for table in ("tcp", "tcp6"):
        try:
            lines = (PROC / "net" / table).read_text().splitlines()[1:]
        except OSError:
            continue  # a kernel without IPv6 has no tcp6
        for line in lines:
            fields = line.split()
            address, _, port_text = fields[1].partition(":")
            # An IPv6 wildcard (all zeros) listens on IPv4 addresses too.
            if fields[3] == LISTEN and int(port_text, 16) == port and (address[-8:] in wanted):
                yield fields[9]


def _hexadecimal(host: str) -> str:
    """An IPv4 address as /proc/net/tcp writes it: its four bytes as one number of the machine's byte order."""
    return f"{struct.unpack('=I', socket.inet_aton(host))[0]:08X}"
