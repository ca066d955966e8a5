"""Plans of TLS: what this proxy shows, whom it believes, and what it says of itself while it connects."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

from mizzen.proxy.engine.match_plan import StringMatch

Version: TypeAlias = Literal["1.2", "1.3"]
PAIR_FILES: Final = "file-cert:"
"""`file-cert:CERTIFICATE~KEY` names a secret that is in these files."""
ROOTS_FILE: Final = "file-root:"
CRL_FILE: Final = "file-crl:"
SYSTEM_ROOTS: Final = f"{ROOTS_FILE}system"
"""The authorities that the operating system trusts."""


@dataclass(frozen=True, slots=True)
class SecretPlan:
    """A secret by the name that listeners and clusters know it under: a key with its chain, or roots; PEM."""

    name: str
    chain: str = ""
    key: str = field(default="", repr=False)
    roots: str = ""
    crl: str = ""
    """Revocation lists, PEM."""
    identity: str = ""
    """The first URI in the certificate; empty for none."""


@dataclass(frozen=True, slots=True)
class NameMatch:
    """One alternative name that a peer's certificate may have."""

    kind: Literal["URI", "DNS"]
    match: StringMatch


@dataclass(frozen=True, slots=True)
class TlsPlan:
    """What both sides have in common."""

    certificate: str = ""
    """Name of the secret with the own certificate; empty for none."""
    roots: str = ""
    """Name of the secret with the roots that peers are checked by; empty: peers are not checked."""
    names: tuple[NameMatch, ...] = ()
    """One of these must be in the peer's certificate; empty: any certificate of the roots will do."""
    protocols: tuple[str, ...] = ()
    """ALPN, the best first."""
    lowest: Version = "1.2"
    highest: Version = "1.3"
    ciphers: tuple[str, ...] = ()
    """Of TLS 1.2, in OpenSSL's names; empty for the library's choice."""


@dataclass(frozen=True, slots=True)
class ServerTlsPlan:
    """A DownstreamTlsContext."""

    common: TlsPlan
    requires_certificate: bool = False
    handshake_timeout: float = 15.0


@dataclass(frozen=True, slots=True)
class ClientTlsPlan:
    """An UpstreamTlsContext."""

    common: TlsPlan
    server_name: str = ""


@dataclass(frozen=True, slots=True)
class SocketMatch:
    """How to speak to endpoints that say all of these things of themselves."""

    criteria: tuple[tuple[str, str], ...]
    tls: ClientTlsPlan | None
    """None: in plain text."""


@dataclass(frozen=True, slots=True)
class SocketsPlan:
    """How a cluster speaks to its endpoints: by the first match, else by the cluster's own word."""

    matches: tuple[SocketMatch, ...] = ()
    otherwise: ClientTlsPlan | None = None

    def of(self, said: frozenset[tuple[str, str]]) -> ClientTlsPlan | None:
        """For an endpoint that says this of itself; None: in plain text."""
        for match in self.matches:
            if said.issuperset(match.criteria):
                return match.tls
        return self.otherwise


PLAINTEXT = SocketsPlan()
