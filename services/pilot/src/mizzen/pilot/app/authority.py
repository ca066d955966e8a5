"""Pilot as certificate authority: the secure port, its own certificate, and who is believed."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from mizzen.identity.certificate import certificate_to_pem
from mizzen.identity.inmemory import load_pair
from mizzen.identity.keys import key_to_pem, new_key
from mizzen.identity.spiffe import SpiffeId
from mizzen.pilot.ca.authority import Authority
from mizzen.pilot.ca.folder import load_or_create
from mizzen.pilot.ca.secure_port import SecurePort
from mizzen.pilot.ca.service import CertificateService, Lives
from mizzen.pilot.ca.tokens import TokenVerifier
from mizzen.runtime.address import Address

log = logging.getLogger(__name__)

ACCOUNT: Final = "mizzen-pilot"
HOSTS: Final = ("istiod", "istio-pilot", ACCOUNT)
"""The names of Pilot's Service, of Istio's age and of ours."""
OWN_LIFE: Final = timedelta(hours=24)
RENEW_SECONDS: Final = OWN_LIFE.total_seconds() / 2


@dataclass(frozen=True, slots=True)
class AuthoritySettings:
    """Where the authority is, and what it goes by."""

    address: Address
    """TLS: certificates, and xDS for who has one."""
    folder: Path
    """Of the authority's files, in Istio's `cacerts` layout; made where there is none."""
    token_keys: Path | None = None
    """Public keys of who issues the tokens of service accounts, a JSON Web Key Set."""
    longest_life: timedelta = timedelta(days=90)


class PilotAuthority:
    """`start` when the mesh's settings are known and the server behind listens; then `run`, then `close`."""

    def __init__(self, settings: AuthoritySettings, inner: Callable[[], Address]) -> None:
        """`inner` is where the plaintext server listens."""
        self._settings = settings
        self.port = SecurePort(inner)
        self._context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._authority: Authority | None = None
        self._identity: SpiffeId | None = None

    def handler(self, trust_domain: str, namespace: str) -> Any:
        """Read or make the authority; the CSR service, to be added to the server behind. Raises StartError."""
        settings = self._settings
        self._authority = load_or_create(settings.folder, trust_domain, datetime.now(UTC))
        self._identity = SpiffeId(trust_domain, namespace, ACCOUNT)
        verifier = TokenVerifier.read(settings.token_keys, trust_domain) if settings.token_keys else None
        lives = Lives(longest=settings.longest_life)
        return CertificateService(self._known, verifier, self.port.peer, lives).handler()

    async def start(self) -> None:
        """Listen; raises StartError."""
        authority = self._known()
        self._context.load_verify_locations(cadata=authority.bundle)
        self._context.verify_mode = ssl.CERT_OPTIONAL
        self._context.minimum_version = ssl.TLSVersion.TLSv1_2
        self._context.set_alpn_protocols(["h2"])
        self._renew()
        await self.port.start(self._settings.address, self._context)

    async def run(self) -> None:
        """Keep the own certificate good until cancelled."""
        while True:
            await asyncio.sleep(RENEW_SECONDS)
            self._renew()

    async def close(self) -> None:
        """End all connections."""
        await self.port.close()

    def _known(self) -> Authority:
        if self._authority is None:
            raise RuntimeError("the authority was not read")
        return self._authority

    def _renew(self) -> None:
        """New connections see the new certificate."""
        authority, identity = self._known(), self._identity
        assert identity is not None  # noqa: S101 - it is set with the authority
        key = new_key()
        spaces = [f".{identity.namespace}", f".{identity.namespace}.svc", f".{identity.namespace}.svc.cluster.local"]
        hosts = [host + space for host in HOSTS for space in ("", *spaces)]
        leaf = authority.issue(
            key.public_key(), identity, OWN_LIFE, datetime.now(UTC), [*hosts, self._settings.address.host]
        )
        chain = "".join(map(certificate_to_pem, (leaf, *authority.intermediates)))
        load_pair(self._context, chain, key_to_pem(key))
        log.info("Pilot's own certificate is good until %s", leaf.not_valid_after_utc)
