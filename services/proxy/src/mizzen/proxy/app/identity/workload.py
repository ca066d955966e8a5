"""The identity of this proxy's workload: kept by the agent, used by the workers and towards Pilot."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable

import grpc

from mizzen.identity.credentials import Credentials
from mizzen.proxy.app.identity.authority import CertificateService
from mizzen.proxy.app.identity.keeper import CertificateKeeper
from mizzen.proxy.app.identity.settings import IdentitySettings
from mizzen.proxy.app.identity.trust import Trust
from mizzen.proxy.engine.tls_plan import OWN_CERTIFICATE, SecretPlan

log = logging.getLogger(__name__)


class WorkloadIdentity:
    """`run` for ever; `deliver` gives each new certificate to the workers."""

    def __init__(
        self, settings: IdentitySettings, deliver: Callable[[tuple[SecretPlan, ...]], Awaitable[None]]
    ) -> None:
        self._deliver = deliver
        self._certified = asyncio.Event()
        self._trust = Trust(settings.roots, self._trust_changed)
        service = CertificateService(
            str(settings.authority),
            settings.roots,
            settings.token,
            life_seconds=settings.life_seconds,
            trusted=lambda current: self._trust.plan(current.roots_pem).roots,
        )
        self.keeper = CertificateKeeper(settings.identity, service, self._changed, random.random)

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.keeper.run())
            tasks.create_task(self._trust.run())

    async def channel_credentials(self) -> grpc.ChannelCredentials:
        """Today's, for a connection to Pilot; waits for the first."""
        await self._certified.wait()
        current = self.keeper.current
        assert current is not None  # noqa: S101 - the event says so
        return grpc.ssl_channel_credentials(
            self._trust.plan(current.roots_pem).roots.encode(),
            current.key_pem.encode(),
            current.chain_pem.encode(),
        )

    async def _changed(self, credentials: Credentials) -> None:
        """Secrets as listeners and clusters know them."""
        chain, key = credentials.chain_pem, credentials.key_pem
        own = SecretPlan(OWN_CERTIFICATE, chain, key, identity=str(credentials.identity))
        await self._deliver((own, self._trust.plan(credentials.roots_pem)))
        self._certified.set()

    async def _trust_changed(self) -> None:
        current = self.keeper.current
        if current is not None:
            plan = self._trust.plan(current.roots_pem)
            log.info("Trusted now: %d roots", plan.roots.count("BEGIN CERTIFICATE"))
            await self._deliver((plan,))
