"""The identity of this proxy's workload: kept by the agent, used by the workers and towards Pilot."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable

import grpc

from mizzen.identity.credentials import Credentials
from mizzen.proxy.app.identity.authority import CertificateService
from mizzen.proxy.app.identity.keeper import CertificateKeeper
from mizzen.proxy.app.identity.settings import IdentitySettings
from mizzen.proxy.engine.tls_plan import OWN_CERTIFICATE, OWN_ROOTS, SecretPlan


class WorkloadIdentity:
    """`run` for ever; `deliver` gives each new certificate to the workers."""

    def __init__(
        self, settings: IdentitySettings, deliver: Callable[[tuple[SecretPlan, ...]], Awaitable[None]]
    ) -> None:
        self._deliver = deliver
        self._certified = asyncio.Event()
        service = CertificateService(
            str(settings.authority), settings.roots, settings.token, life_seconds=settings.life_seconds
        )
        self.keeper = CertificateKeeper(settings.identity, service, self._changed, random.random)

    async def run(self) -> None:
        """Until cancelled."""
        await self.keeper.run()

    async def channel_credentials(self) -> grpc.ChannelCredentials:
        """Today's, for a connection to Pilot; waits for the first."""
        await self._certified.wait()
        current = self.keeper.current
        assert current is not None  # noqa: S101 - the event says so
        return grpc.ssl_channel_credentials(
            current.roots_pem.encode(), current.key_pem.encode(), current.chain_pem.encode()
        )

    async def _changed(self, credentials: Credentials) -> None:
        await self._deliver(secrets(credentials))
        self._certified.set()


def secrets(credentials: Credentials) -> tuple[SecretPlan, ...]:
    """As listeners and clusters know them."""
    own = SecretPlan(OWN_CERTIFICATE, credentials.chain_pem, credentials.key_pem, identity=str(credentials.identity))
    return own, SecretPlan(OWN_ROOTS, roots=credentials.roots_pem)
