"""The identity of this proxy's workload: kept by the agent, used by the workers and towards the mesh's own services."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import grpc

from mizzen.identity.credentials import Credentials
from mizzen.identity.keeping.own import OwnIdentity, Proof
from mizzen.identity.keeping.settings import IdentitySettings
from mizzen.proxy.engine.tls_plan import OWN_CERTIFICATE, OWN_ROOTS, SecretPlan


class WorkloadIdentity:
    """`run` for ever; `deliver` gives each new certificate to the workers."""

    def __init__(
        self, settings: IdentitySettings, deliver: Callable[[tuple[SecretPlan, ...]], Awaitable[None]]
    ) -> None:
        self._deliver = deliver
        self._delivered: Credentials | None = None
        self._shown: tuple[Proof, grpc.ChannelCredentials] | None = None
        self._own = OwnIdentity(settings, self._changed)
        self.keeper = self._own.keeper

    async def run(self) -> None:
        """Until cancelled."""
        await self._own.run()

    async def channel_credentials(self) -> grpc.ChannelCredentials:
        """Today's, for connections to Pilot and Mixer: the same object until there are others. Waits for the first."""
        proof = await self._own.proof()
        if self._shown is None or self._shown[0] is not proof:
            self._shown = proof, proof.for_channels()
        return self._shown[1]

    async def _changed(self, proof: Proof) -> None:
        """Secrets as listeners and clusters know them."""
        shown = proof.credentials
        trusted = SecretPlan(OWN_ROOTS, roots=proof.roots, crl=proof.revoked)
        if shown is self._delivered:
            await self._deliver((trusted,))
            return
        own = SecretPlan(OWN_CERTIFICATE, shown.chain_pem, shown.key_pem, identity=str(shown.identity))
        await self._deliver((own, trusted))
        self._delivered = shown
