"""Which addresses are free, and who has the others."""

from __future__ import annotations

import errno
import shlex
import socket
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from mizzen.cli.errors import UserError
from mizzen.cli.local.sweep import PROC, home_of

CONFLICT_LINES = 6
_SOCKET = "socket:["
LISTEN = "0A"
"""The state TCP_LISTEN as /proc/net/tcp writes it."""


@dataclass(frozen=True, slots=True)
class Owner:
    """A process that listens."""

    name: str
    pid: int
    folder: str = ""
    """Its working directory; empty when the system does not tell."""
    mesh: str = ""
    """The home of the mesh that it belongs to; empty for a stranger."""

    def __str__(self) -> str:
        place = f", of the mesh in {self.mesh}" if self.mesh else f", in {self.folder}" if self.folder else ""
        return f"{self.name} (pid {self.pid}{place})"


@dataclass(frozen=True, slots=True)
class Taken:
    """An address that a mesh needs and somebody else listens on."""

    host: str
    port: int
    owner: Owner | None
    """None when the system does not tell."""

    def __str__(self) -> str:
        return f"{self.host}:{self.port} is taken by {self.owner or 'a process of another user'}"


def taken(addresses: Iterable[tuple[str, int]]) -> list[Taken]:
    """Those of the addresses that cannot be listened on now."""
    occupied = [address for address in addresses if not _is_free(*address)]
    if not occupied:
        return []
    holders = _holders()
    return [Taken(host, port, _owner(host, port, holders)) for host, port in occupied]


def refuse(conflicts: Sequence[Taken]) -> None:
    """Raise UserError if there is a conflict, saying how to end a mesh that is in the way."""
    if not conflicts:
        return
    lines = [f"  {conflict}" for conflict in conflicts[:CONFLICT_LINES]]
    if len(conflicts) > CONFLICT_LINES:
        lines.append(f"  and {len(conflicts) - CONFLICT_LINES} more")
    meshes = sorted({item.owner.mesh for item in conflicts if item.owner is not None and item.owner.mesh})
    lines.extend(
        f"One mesh runs on a machine; stop that one with: MIZZEN_HOME={shlex.quote(mesh)} mizzen down"
        for mesh in meshes
    )
    raise UserError("\n".join(("The mesh cannot start, because addresses that it needs are in use:", *lines)))


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


def _owner(host: str, port: int, holders: Mapping[str, int]) -> Owner | None:
    pids = (holders.get(inode) for inode in _listening_inodes(host, port))
    pid = next((pid for pid in pids if pid is not None), None)
    if pid is None:
        return None
    process = PROC / str(pid)
    try:
        name = (process / "comm").read_text().strip()
    except OSError:
        return None  # it ended meanwhile
    try:
        return Owner(name, pid, str((process / "cwd").readlink()), home_of(pid))
    except OSError:
        return Owner(name, pid)


def _holders() -> dict[str, int]:
    """The process that has each socket open, by the socket's inode."""
    found: dict[str, int] = {}
    for entry in PROC.iterdir():
        if not entry.name.isdigit():
            continue
        with suppress(OSError):  # it ended meanwhile, or is not ours to look at
            for link in (entry / "fd").iterdir():
                if inode := _socket_inode(link):
                    found.setdefault(inode, int(entry.name))
    return found


def _socket_inode(link: Path) -> str:
    """Of what a file descriptor stands for; empty when that is no socket, or closed meanwhile."""
    try:
        target = str(link.readlink())
    except OSError:
        return ""
    return target[len(_SOCKET) : -1] if target.startswith(_SOCKET) else ""


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
