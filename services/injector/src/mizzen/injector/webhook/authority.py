"""The mesh's authority, as far as it is named: without gRPC, which who makes certificates by itself does not need."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mizzen.runtime.address import Address


@dataclass(frozen=True, slots=True)
class AuthoritySettings:
    """Who is asked for the webhook's certificate, and by what it knows whom."""

    address: Address
    """Of `istio.v1.auth.IstioCertificateService`, TLS."""
    roots: Path
    """PEM; by them it is known, and one of them should be above the certificate."""
    token: Path
    """Of the injector's ServiceAccount."""
