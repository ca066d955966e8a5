"""The port of mutual TLS: opened when there is a certificate, which is kept good from then on."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import UTC, datetime

from prometheus_client import CollectorRegistry, Gauge

from mizzen.identity.keeping.own import OwnIdentity, Proof
from mizzen.mixer.app.settings import SecureSettings
from mizzen.mixer.server.peer import Watch
from mizzen.mixer.server.secure import SecureDoor
from mizzen.mixer.server.server import MixerServer
from mizzen.runtime.address import Address, check_free
from mizzen.runtime.errors import StartError

log = logging.getLogger(__name__)


class SecurePort:
    """`prepare`, then `run` until cancelled, then `close`."""

    def __init__(
        self,
        settings: SecureSettings,
        serving: Callable[[SecureDoor], MixerServer],
        watch: Watch,
        registry: CollectorRegistry,
    ) -> None:
        """`serving` makes the server behind a door."""
        self._settings = settings
        self._serving = serving
        self._watch = watch
        self._identity = OwnIdentity(settings.identity, self._changed)
        self._door: SecureDoor | None = None
        self._server: MixerServer | None = None
        Gauge(
            "mizzen_mixer_certificate_expiry_seconds",
            "Until Mixer's own certificate ends; 0 where there is none.",
            registry=registry,
        ).set_function(self._seconds_left)

    @property
    def address(self) -> Address | None:
        """Where it listens; None until there is a certificate."""
        return self._server.address if self._server is not None else None

    @property
    def missing(self) -> str:
        """Why the port is not open yet; empty when it is."""
        if self._server is not None:
            return ""
        reason = self._identity.keeper.stats.last_failure
        return f"Mixer has no certificate yet: {reason}" if reason else "Mixer has no certificate yet"

    def prepare(self) -> None:
        """Raises StartError where one cannot listen."""
        check_free(self._settings.address)

    async def run(self) -> None:
        """Keep the certificate good, and open the port with the first one; raises StartError."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._identity.run())
            tasks.create_task(self._open())

    async def close(self) -> None:
        """Answer what is under way."""
        if self._server is not None:
            await self._server.close()

    async def _open(self) -> None:
        proof = await self._identity.proof()
        try:
            self._door = SecureDoor(self._settings.trust_domains, proof, self._watch)
        except ValueError as error:
            raise StartError(f"lists of revoked certificates cannot be read: {error}") from error
        server = self._serving(self._door)
        await server.start(self._settings.address)
        self._server = server
        log.info("Serving as %s with mutual TLS on %s", proof.credentials.identity, server.address)

    async def _changed(self, proof: Proof) -> None:
        if self._door is not None:
            self._door.renew(proof)

    def _seconds_left(self) -> float:
        current = self._identity.current
        return (current.credentials.ends - datetime.now(UTC)).total_seconds() if current is not None else 0.0
