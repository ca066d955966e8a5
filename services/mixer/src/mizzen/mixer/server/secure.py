"""Mutual TLS of a gRPC server: a certificate that may be replaced while it serves, and who a peer has proved to be."""

from __future__ import annotations

import logging
from collections.abc import Container
from datetime import UTC, datetime
from typing import Any, Final

import grpc
from cryptography import x509

from mizzen.identity.certificate import identity_of
from mizzen.identity.keeping.own import Proof
from mizzen.identity.revocation import RevocationList, lists_from_pem, objection
from mizzen.identity.spiffe import InvalidIdentity
from mizzen.mixer.server.peer import Peer, Watch
from mizzen.mixer.server.refusal import Refusal
from mizzen.mixer.status import Code

log = logging.getLogger(__name__)

MAX_KNOWN: Final = 10_000
"""Certificates that are remembered."""
_CERTIFICATE: Final = "x509_pem_cert"
"""What gRPC calls the client's own certificate."""


class SecureDoor:
    """Who comes in: clients with a certificate of the mesh's authority, and of one of these trust domains."""

    def __init__(self, trust_domains: Container[str], proof: Proof, watch: Watch) -> None:
        """Raises ValueError for lists of revoked certificates that cannot be read."""
        self._trust_domains = trust_domains
        self._watch = watch
        self._revoked = _lists(proof)
        self._known: dict[bytes, Peer] = {}
        """By certificate."""
        self._current = self._given = _configuration(proof)
        """What new connections are to see, and what gRPC knows of that."""
        self.credentials = grpc.dynamic_ssl_server_credentials(
            self._given, self._fetch, require_client_authentication=True
        )

    def renew(self, proof: Proof) -> None:
        """New connections see this certificate, and are checked by these roots; those that are open stay open.

        But what is revoked counts for each call.
        """
        self._current = _configuration(proof)
        try:
            self._revoked = _lists(proof)
        except ValueError as error:
            log.error("New lists of revoked certificates cannot be read; those before them stay: %s", error)
        self._known.clear()

    def peer(self, context: Any) -> Peer:
        """Who calls; raises Refusal. Called for each call, and most of its cost is gRPC's `auth_context`, 5 µs."""
        [shown] = context.auth_context()[_CERTIFICATE]
        known = self._known.get(shown)
        if known is None:
            if len(self._known) >= MAX_KNOWN:
                self._known.clear()
            known = self._known[shown] = self._judge(shown)
        return known

    def _judge(self, shown: bytes) -> Peer:
        """Of a certificate that has passed the handshake."""
        certificate = x509.load_pem_x509_certificate(shown)
        try:
            identity = identity_of(certificate)
        except InvalidIdentity as error:
            message = f"the client's certificate is not that of a workload: {error}"
            raise Refusal(Code.UNAUTHENTICATED, message) from error
        reason = objection(self._revoked, certificate, datetime.now(UTC))
        if reason:
            raise Refusal(Code.UNAUTHENTICATED, f"the certificate of {identity} does not count: {reason}")
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


def _lists(proof: Proof) -> list[RevocationList]:
    return list(map(RevocationList.of, lists_from_pem(proof.revoked)))
