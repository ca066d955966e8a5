"""Mutual TLS of a gRPC server: a certificate that may be replaced while it serves, and who a peer has proved to be."""

from __future__ import annotations

from collections.abc import Container
from typing import Any, Final

import grpc

from mizzen.identity.keeping.own import Proof
from mizzen.identity.spiffe import InvalidIdentity, SpiffeId
from mizzen.mixer.server.peer import Peer, Watch
from mizzen.mixer.server.refusal import Refusal
from mizzen.mixer.status import Code

MAX_KNOWN: Final = 10_000
"""Identities that are remembered."""
_IDENTITY: Final = "peer_spiffe_id"
"""What gRPC calls the identity in a certificate that has exactly one."""


class SecureDoor:
    """Who comes in: clients with a certificate of the mesh's authority, and of one of these trust domains."""

    def __init__(self, trust_domains: Container[str], proof: Proof, watch: Watch) -> None:
        self._trust_domains = trust_domains
        self._watch = watch
        self._known: dict[bytes, Peer] = {}
        self._current = self._given = _configuration(proof)
        """What new connections are to see, and what gRPC knows of that."""
        self.credentials = grpc.dynamic_ssl_server_credentials(
            self._given, self._fetch, require_client_authentication=True
        )

    def renew(self, proof: Proof) -> None:
        """New connections see this certificate, and are checked by these roots; those that are open stay open."""
        self._current = _configuration(proof)

    def peer(self, context: Any) -> Peer:
        """Who calls; raises Refusal. Called for each call, and most of its cost is gRPC's `auth_context`, 5 µs."""
        found = context.auth_context().get(_IDENTITY)
        if not found:
            raise Refusal(Code.UNAUTHENTICATED, "the client's certificate is not that of a workload (one SPIFFE id)")
        known = self._known.get(found[0])
        if known is None:
            if len(self._known) >= MAX_KNOWN:
                self._known.clear()
            known = self._known[found[0]] = self._judge(found[0])
        return known

    def _judge(self, claimed: bytes) -> Peer:
        try:
            identity = SpiffeId.parse(claimed.decode("ascii"))
        except (InvalidIdentity, UnicodeDecodeError) as error:
            raise Refusal(
                Code.UNAUTHENTICATED, f"the client's certificate is not that of a workload: {error}"
            ) from error
        if identity.trust_domain not in self._trust_domains:
            raise Refusal(Code.PERMISSION_DENIED, f"{identity} is of another mesh, by its trust domain")
        return Peer(identity, self._watch)

    def _fetch(self) -> Any:
        """Called by a thread of gRPC before each handshake; None: nothing is new."""
        current = self._current
        if current is self._given:
            return None
        self._given = current
        return current


def _configuration(proof: Proof) -> Any:
    shown = proof.credentials
    pair = (shown.key_pem.encode(), shown.chain_pem.encode())
    return grpc.ssl_server_certificate_configuration((pair,), proof.roots.encode())
