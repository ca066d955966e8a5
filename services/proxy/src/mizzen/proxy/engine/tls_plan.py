"""Plans of TLS: what this proxy shows, whom it believes, and what it says of itself while it connects."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

from mizzen.proxy.engine.match_plan import StringMatch

Version: TypeAlias = Literal["1.2", "1.3"]
OWN_CERTIFICATE: Final = "default"
"""Istio's name for the workload's own certificate."""
OWN_ROOTS: Final = "ROOTCA"
"""Istio's name for the roots of the mesh."""
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


def is_from_pilot(name: str) -> bool:
    """Whether Pilot sends a secret of this name; the agent has all others itself."""
    return name not in (OWN_CERTIFICATE, OWN_ROOTS) and not name.startswith((PAIR_FILES, ROOTS_FILE, CRL_FILE))


NameKind: TypeAlias = Literal["URI", "DNS", "email", "IP Address"]
"""In the words of `ssl.SSLObject.getpeercert()`."""


@dataclass(frozen=True, slots=True)
class NameMatch:
    """One alternative name that a peer's certificate may have."""

    kind: NameKind
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
    crl: str = ""
    """Name of the secret with revocation lists, besides those that come with the roots; empty for none."""
    only_leaf_crl: bool = False
    """Only the peer's own certificate is looked up in the lists, not those that vouch for it."""
    digests: tuple[str, ...] = ()
    """SHA-256 of certificates, hexadecimal. The peer's must be among these or `key_digests`, unless both are empty."""
    key_digests: tuple[str, ...] = ()
    """SHA-256 of public keys (SubjectPublicKeyInfo), base64."""

    @property
    def secrets(self) -> tuple[str, ...]:
        """The names of all secrets that it needs."""
        return tuple(name for name in (self.certificate, self.roots, self.crl) if name)


@dataclass(frozen=True, slots=True)
class ServerTlsPlan:
    """A DownstreamTlsContext."""

    common: TlsPlan
    requires_certificate: bool = False
    handshake_timeout: float = 15.0
    tickets: bool = True
    """Clients may resume sessions by tickets."""


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
    host_is_server_name: bool = False
    """The Host header of a request becomes SNI (auto_sni)."""
    host_is_peer_name: bool = False
    """The Host header of a request must be in the peer's certificate (auto_san_validation)."""

    @property
    def goes_by_host(self) -> bool:
        """Requests of different hosts cannot share a connection."""
        return self.host_is_server_name or self.host_is_peer_name

    @property
    def secrets(self) -> tuple[str, ...]:
        """The names of all secrets that are needed to speak to endpoints."""
        plans = (*(match.tls for match in self.matches), self.otherwise)
        return tuple(dict.fromkeys(name for plan in plans if plan is not None for name in plan.common.secrets))

    def of(self, said: frozenset[tuple[str, str]]) -> ClientTlsPlan | None:
        """For an endpoint that says this of itself; None: in plain text."""
        for match in self.matches:
            if said.issuperset(match.criteria):
                return match.tls
        return self.otherwise


PLAINTEXT = SocketsPlan()
