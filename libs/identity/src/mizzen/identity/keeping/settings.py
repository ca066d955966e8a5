"""What a process is told about its identity. Without gRPC: who reads settings may need none."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mizzen.identity.spiffe import SpiffeId
from mizzen.runtime.address import Address

ROOTS_FILE: Final = "/var/run/secrets/istio/root-cert.pem"
"""Where Istio's injection mounts the roots."""
TOKEN_FILE: Final = "/var/run/secrets/tokens/istio-token"  # noqa: S105 - and where the token


@dataclass(frozen=True, slots=True)
class IdentitySettings:
    """Who this process is, and who certifies that."""

    identity: SpiffeId
    authority: Address
    roots: Path
    """PEM; read at each call until there is a certificate, that comes with the roots of today."""
    token: Path
    """What proves the identity until there is a certificate."""
    life_seconds: int = 0
    """Asked for; 0 leaves it to the authority."""
