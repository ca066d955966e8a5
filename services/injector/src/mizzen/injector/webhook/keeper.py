"""Keeps the webhooks' certificate and how the API server calls them: the work of one replica, the leader."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Protocol

from mizzen.injector.certificate.issue import Issued, sign_by_itself
from mizzen.injector.certificate.keeping import Held, Wanted, is_due, is_urgent, next_content
from mizzen.injector.certificate.secret import COMING, read_secret, secret_data
from mizzen.injector.webhook.configurations import STRATEGIC_MERGE, VALIDATING, fail_patch, roots_patch
from mizzen.injector.webhook.proof import Proof
from mizzen.kubernetes.client import FAILURES, ApiError, Client
from mizzen.kubernetes.single import Single, follow

log = logging.getLogger(__name__)

LOOK_SECONDS = 5.0
"""How often time alone may be a reason to do something; changes are one at once."""
SETTLE_SECONDS = 30.0
"""How long all configurations have had a bundle when every API server knows it for sure."""
MERGE = "application/merge-patch+json"


class NotSigned(Exception):
    """There is no certificate from that authority now; the message says why."""


class Signer(Protocol):
    """An authority."""

    def roots(self) -> tuple[bytes, ...]:
        """Those that should be above the certificate, in PEM; empty while they are not known."""

    async def sign(self, hosts: Sequence[str], life: timedelta) -> Issued:
        """Raises NotSigned."""


@dataclass(frozen=True, slots=True)
class KeptSecret:
    """The Secret of a certificate, and what that should be like."""

    place: Single
    wanted: Wanted
    signer: Signer | None = None
    """Who is asked; None: each certificate has a root of its own."""


class Keeper:
    """Writes the Secret and the configurations. It must be told what the Secret is, as who serves it is told.

    Without a Secret, somebody else makes the certificate and says by which roots it is known.
    """

    def __init__(
        self, client: Client, secret: KeptSecret | None, configurations: Sequence[Single], proof: Proof
    ) -> None:
        self._client = client
        self._kept = secret
        self._places = configurations
        self._proof = proof
        self._secret: dict[str, Any] | None = None
        self._configurations: dict[Single, dict[str, Any] | None] = {}
        self._agreed: tuple[bytes, float] | None = None
        """The bundle that all configurations have, and since when they do."""
        self._refusal = ""
        """Why the authority did not sign the last time."""
        self._changed = asyncio.Event()
        self._time = asyncio.get_running_loop().time

    def secret_is(self, item: dict[str, Any] | None) -> None:
        """The Secret as of now; None where there is none."""
        self._secret = item
        self._changed.set()

    async def run(self, clock: Callable[[], datetime]) -> None:
        """Look after them until cancelled."""
        self._configurations.clear()
        self._agreed = None
        async with asyncio.TaskGroup() as tasks:
            for place in self._places:
                tasks.create_task(follow(self._client, place, self._follower(place), random.random))
            while True:
                self._changed.clear()
                await self._look(clock())
                with suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_SECONDS):
                        await self._changed.wait()

    def _follower(self, place: Single) -> Callable[[dict[str, Any] | None], None]:
        def is_now(item: dict[str, Any] | None) -> None:
            self._configurations[place] = item
            self._changed.set()

        return is_now

    async def _look(self, now: datetime) -> None:
        about = "webhooks"
        try:
            if self._kept is None or await self._certificate(self._kept, now):
                await self._fail_closed()
        except FAILURES as error:
            if not (isinstance(error, ApiError) and error.status == 409):  # its newer version is on the way
                self._client.outages.begin(about, str(error) or type(error).__name__)
        else:
            self._client.outages.end(about)

    async def _certificate(self, kept: KeptSecret, now: datetime) -> bool:
        """One step towards a certificate that is valid and known; whether there is no other to go."""
        if self._secret is None:
            return False  # not told yet, or removed: its release makes it
        secret, held = self._secret, read_secret(self._secret)
        wanted = replace(kept.wanted, roots=kept.signer.roots()) if kept.signer else kept.wanted
        issued = await self._issued(kept.signer, held, wanted, now) if is_due(held, wanted, now) else None
        following = next_content(held, wanted, now, known=self._known(held.bundle), issued=issued)
        if following != held:
            await self._write(kept.place, secret, following)
            return False  # and told of it
        for place, item in self._configurations.items():
            if item and (patch := roots_patch(item, held.bundle)):
                await self._client.send("PATCH", place.object_path, patch, STRATEGIC_MERGE)
                log.info("Told %s the webhook's roots", place.name)
                return False
        return True

    async def _issued(self, signer: Signer | None, held: Held, wanted: Wanted, now: datetime) -> Issued | None:
        """From the authority; while that does not sign, from nobody until there would be none to serve."""
        if signer is not None and wanted.roots:
            try:
                issued = await signer.sign(wanted.hosts, wanted.life)
            except NotSigned as error:
                if str(error) != self._refusal:
                    log.warning("No certificate for the webhook from the mesh's authority: %s", error)
                self._refusal = str(error)
            else:
                self._refusal = ""
                return issued
        if signer is None or is_urgent(held, wanted, now):
            return sign_by_itself(wanted.hosts, now, wanted.life)
        return None

    async def _fail_closed(self) -> None:
        """Let nothing pass unchecked from when checks are known to work; before, nobody could configure anything."""
        for place, item in self._configurations.items():
            if place.path == VALIDATING and item and (patch := fail_patch(item)) and await self._proof.holds():
                await self._client.send("PATCH", place.object_path, patch, STRATEGIC_MERGE)
                log.info("%s refuses what cannot be checked from now on", place.name)

    def _known(self, bundle: bytes) -> bool:
        """Whether every caller has this bundle by now. A configuration that is not there has no callers."""
        if len(self._configurations) < len(self._places):
            return False
        if any(item and roots_patch(item, bundle) for item in self._configurations.values()):
            self._agreed = None
            return False
        if self._agreed is None or self._agreed[0] != bundle:
            self._agreed = (bundle, self._time())
        return self._time() >= self._agreed[1] + SETTLE_SECONDS

    async def _write(self, place: Single, secret: dict[str, Any], held: Held) -> None:
        gone: dict[str, str | None] = dict.fromkeys(COMING)
        patch = {
            "metadata": {"resourceVersion": secret["metadata"]["resourceVersion"]},
            "data": gone | secret_data(held),
        }
        await self._client.send("PATCH", place.object_path, patch, MERGE)
        log.info("Wrote the webhook's certificate%s", ", a new one lies ready" if held.coming else "")
