"""The identity of this process, kept good."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import grpc

from mizzen.identity.credentials import Credentials
from mizzen.identity.keeping.keeper import CertificateKeeper
from mizzen.identity.keeping.service import CertificateService
from mizzen.identity.keeping.settings import IdentitySettings
from mizzen.identity.keeping.trust import Trust

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Proof:
    """What is shown, and who is believed."""

    credentials: Credentials
    roots: str
    """PEM, more than those that came with the certificate where a file says so."""
    revoked: str = ""
    """Lists of what was revoked, PEM."""

    def for_channels(self) -> grpc.ChannelCredentials:
        """For connections to servers of the mesh. gRPC knows no lists of what was revoked."""
        shown = self.credentials
        return grpc.ssl_channel_credentials(self.roots.encode(), shown.key_pem.encode(), shown.chain_pem.encode())


class OwnIdentity:
    """`run` for ever; `proof` waits for the first certificate."""

    def __init__(self, settings: IdentitySettings, changed: Callable[[Proof], Awaitable[None]]) -> None:
        """`changed` hears of each new certificate and of each change of trust, before `proof` gives the first."""
        self.current: Proof | None = None
        self._changed = changed
        self._certified = asyncio.Event()
        self._trust = Trust(settings.roots, self._trust_changed)
        service = CertificateService(
            str(settings.authority),
            settings.roots,
            settings.token,
            life_seconds=settings.life_seconds,
            trusted=lambda current: self._trust.roots(current.roots_pem),
        )
        self.keeper = CertificateKeeper(settings.identity, service, self._renewed, random.random)

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.keeper.run())
            tasks.create_task(self._trust.run())

    async def proof(self) -> Proof:
        """Today's; waits for the first."""
        await self._certified.wait()
        assert self.current is not None  # noqa: S101 - the event says so
        return self.current

    async def _renewed(self, credentials: Credentials) -> None:
        await self._take(credentials)
        self._certified.set()

    async def _trust_changed(self) -> None:
        if self.current is not None:
            await self._take(self.current.credentials)
            log.info("Trusted now: %d roots", self.current.roots.count("BEGIN CERTIFICATE"))

    async def _take(self, credentials: Credentials) -> None:
        self.current = Proof(credentials, self._trust.roots(credentials.roots_pem), self._trust.revoked)
        await self._changed(self.current)
