"""Socket addresses as people write them."""

from __future__ import annotations

import errno
import random
import socket
from contextlib import suppress
from typing import NamedTuple

from mizzen.runtime.errors import StartError


class Address(NamedTuple):
    """An IP address or host name, and a port (0 lets the system choose)."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @classmethod
    def parse(cls, text: str) -> Address:
        """Read `127.0.0.1:80`, `[::1]:80` or `name:80`; raises ValueError."""
        host, found, port = text.rpartition(":")
        if not found or not host or not port.isdecimal() or int(port) > 65535:
            raise ValueError(f"an address is <host>:<port>, for instance 127.0.0.1:15010, not {text!r}")
        return cls(host.removeprefix("[").removesuffix("]"), int(port))


# Below the ports that Linux gives to outgoing connections and to whoever asks for port 0.
_UNASSIGNED = range(10240, 32768)


def unused_port(host: str = "127.0.0.1") -> int:
    """A TCP port that is free at `host` and likely to stay so, for programs that must be told their port.

    The system never assigns it by itself, so it can only be lost to someone who names it. Raises OSError when a hundred
    tries find none.
    """
    for port in random.sample(_UNASSIGNED, 100):
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe, suppress(OSError):
            probe.bind((host, port))
            return port
    raise OSError(errno.EADDRINUSE, f"no unused port found at {host}")


def explain_bind_error(address: Address, error: OSError) -> str:
    """Why listening on `address` failed, for the person who started the service."""
    if error.errno == errno.EADDRINUSE:
        return f"{address} is taken by another process; stop that one or choose another address"
    if error.errno == errno.EACCES:
        return f"{address} is not allowed: ports below 1024 need root"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{address} is not an address of this machine"
    return f"cannot listen on {address}: {error.strerror or error}"


def check_free(address: Address) -> None:
    """Raise StartError with the reason where one cannot listen; for servers like gRPC's, which do not tell it."""
    if address.port == 0:
        return
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    try:
        socket.create_server((address.host, address.port), family=family).close()
    except OSError as error:
        raise StartError(explain_bind_error(address, error)) from error
