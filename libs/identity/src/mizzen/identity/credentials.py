"""What a workload shows to its peers and what it believes of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Self

from cryptography import x509

from mizzen.identity.certificate import (
    InvalidCertificate,
    certificate_to_pem,
    certificates_from_pem,
    identity_of,
    is_pair,
)
from mizzen.identity.keys import PrivateKey, key_to_pem
from mizzen.identity.spiffe import InvalidIdentity, SpiffeId

RENEW_AT: Final = 0.5
"""The part of a certificate's life after which a new one is asked for (Istio's SECRET_GRACE_PERIOD_RATIO)."""
JITTER: Final = 0.01
"""By so much of its life earlier or later, so that workloads that started together do not ask together."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """A key with its certificates, and the roots that are trusted. The key is never in its `repr`."""

    key: PrivateKey
    leaf: x509.Certificate
    intermediates: tuple[x509.Certificate, ...]
    roots: tuple[x509.Certificate, ...]
    identity: SpiffeId

    @classmethod
    def received(cls, key: PrivateKey, chain: Sequence[str]) -> Self:
        """From a CA's answer: the leaf, each intermediate, and all roots as the last element. InvalidCertificate."""
        if len(chain) < 2:
            raise InvalidCertificate(f"a CA's answer has a certificate and the roots at least, not {len(chain)} parts")
        (leaf, *intermediates), roots = certificates_from_pem("".join(chain[:-1])), certificates_from_pem(chain[-1])
        if not is_pair(leaf, key):
            raise InvalidCertificate("the CA has certified another key than the one that was asked for")
        try:
            identity = identity_of(leaf)
        except InvalidIdentity as error:
            raise InvalidCertificate(str(error)) from error
        return cls(key, leaf, tuple(intermediates), tuple(roots), identity)

    @property
    def key_pem(self) -> str:
        """Secret."""
        return key_to_pem(self.key)

    @property
    def chain_pem(self) -> str:
        """The leaf and its intermediates."""
        return "".join(map(certificate_to_pem, (self.leaf, *self.intermediates)))

    @property
    def roots_pem(self) -> str:
        """All that are trusted."""
        return "".join(map(certificate_to_pem, self.roots))

    @property
    def ends(self) -> datetime:
        """When the first certificate of the chain that ends does so."""
        return min(certificate.not_valid_after_utc for certificate in (self.leaf, *self.intermediates))

    @property
    def roots_end(self) -> datetime:
        """When the first of the roots ends."""
        return min(certificate.not_valid_after_utc for certificate in self.roots)

    def renew_at(self, point: float, received: datetime) -> datetime:
        """When a new certificate is due; `point` in [0, 1) is chance.

        Its life began when it was `received`: authorities let certificates begin before they are made, for clocks that
        are behind, and of a short life that would be most.
        """
        return received + (self.ends - received) * (RENEW_AT + JITTER * (2 * point - 1))

    def life_left(self, received: datetime, now: datetime) -> float:
        """The part of that life that is ahead, from 1 to 0 (or less, when it is over)."""
        return (self.ends - now) / (self.ends - received)

    def __repr__(self) -> str:
        return f"Credentials({self.identity}, until {self.ends:%Y-%m-%dT%H:%M:%SZ})"
