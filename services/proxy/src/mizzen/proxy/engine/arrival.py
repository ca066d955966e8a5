"""What is known of a connection before anybody handles it."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final, TypeAlias

from mizzen.proxy.engine.peer import Peer, TlsFacts

Ip: TypeAlias = IPv4Address | IPv6Address
Identities: TypeAlias = tuple[str, str, str]
"""What TLS tells of a connection: the client's identity, this proxy's, and the name that was asked for; "" for none."""
UNPROVED: Final[Identities] = ("", "", "")
"""Of a connection in plain text."""
_SHOWN: Final = 8
_SHOWN_LETTERS: Final = 32


class Arrival:
    """A new connection: who it is from, where it was going, and what its first bytes say."""

    __slots__ = (
        "destination",
        "is_secured",
        "own",
        "peer",
        "protocols",
        "restored",
        "server_name",
        "source",
        "tls",
        "transport",
    )

    def __init__(self, source: tuple[str, int], destination: tuple[str, int]) -> None:
        self.source = source
        self.destination = destination
        """The original one, once it is known."""
        self.restored = False
        """The destination is not the address that accepted the connection, or it was captured by TPROXY."""
        self.server_name = ""
        """SNI, lower case."""
        self.transport = "raw_buffer"
        self.protocols: tuple[str, ...] = ()
        """ALPN in the client's order, or what plaintext was recognised as."""
        self.peer: Peer | None = None
        """Whose certificate was verified; None without one."""
        self.is_secured = False
        """TLS ended here."""
        self.tls: TlsFacts | None = None
        """What was agreed on when TLS ended here."""
        self.own = ""
        """The identity that this proxy showed: the URI in its certificate; empty in plain text."""

    @property
    def principal(self) -> str:
        """The identity that the client has proved; empty for none."""
        return self.peer.uris[0] if self.peer is not None and self.peer.uris else ""

    @property
    def identities(self) -> Identities:
        """Who is at either end."""
        return (self.principal, self.own, self.server_name)

    @property
    def source_ip(self) -> Ip:
        return ip_address(self.source[0].partition("%")[0])

    @property
    def destination_ip(self) -> Ip:
        return ip_address(self.destination[0].partition("%")[0])

    @property
    def is_local(self) -> bool:
        """The client is on this machine: the same address, or loopback."""
        return self.source_ip == self.destination_ip or self.source_ip.is_loopback

    def in_words(self) -> str:
        """For logs: `10.0.0.7:4711 to 10.0.0.1:80, raw_buffer, http/1.1`."""
        said = [f"{_text(self.source)} to {_text(self.destination)}", self.transport]
        said += [f"SNI {self.server_name}"] if self.server_name else []
        return ", ".join([*said, self.protocols_in_words] if self.protocols else said)

    @property
    def protocols_in_words(self) -> str:
        """For logs, of which a client must forge and fill no line by what it says by ALPN."""
        words = [protocol[:_SHOWN_LETTERS].encode("unicode_escape").decode() for protocol in self.protocols[:_SHOWN]]
        return ", ".join([*words, "..."] if len(self.protocols) > _SHOWN else words)


def _text(address: tuple[str, int]) -> str:
    return f"[{address[0]}]:{address[1]}" if ":" in address[0] else f"{address[0]}:{address[1]}"
