"""A connection that traffic capture hands to a proxy, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Sends = Literal["http", "tls", "bytes", "nothing"]


@dataclass(frozen=True)
class Connect:
    """What a client does that knows nothing of the proxy."""

    address: str
    """The IP that it connects to."""
    port: int
    sends: Sends = "http"
    """First; after "nothing" it waits for the server's greeting."""
    host: str = ""
    """The Host of its request, or the name in its ClientHello; empty stands for the address."""
    inbound: bool = False
    """It comes from elsewhere to the workload, not from the workload."""

    def __str__(self) -> str:
        arrow = "from outside to" if self.inbound else "to"
        named = f" as {self.host}" if self.host else ""
        return f"{self.sends} {arrow} {self.address}:{self.port}{named}"


@dataclass(frozen=True)
class Outcome:
    """The decision. A field is empty where it has no meaning."""

    kind: str
    """"http" (forwarded as requests), "tcp" (forwarded as bytes), "respond", "closed"."""
    cluster: str = ""
    route: str = ""
    status: int = 0


@dataclass(frozen=True)
class Captured:
    """A connection whose outcome is known."""

    world: str
    connect: Connect
    expected: Outcome

    def __str__(self) -> str:
        return f"{self.world}: {self.connect}"
