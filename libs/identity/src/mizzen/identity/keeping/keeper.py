"""Keeps a certificate that is good: renewed at half of its life, and used for as long as the CA is away."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Protocol

from mizzen.identity.certificate import InvalidCertificate
from mizzen.identity.credentials import Credentials
from mizzen.identity.keys import KeyType, PrivateKey, new_key
from mizzen.identity.request import make_request
from mizzen.identity.spiffe import SpiffeId
from mizzen.runtime.backoff import Backoff

log = logging.getLogger(__name__)

MARKS: Final = (0.5, 0.25, 0.1)
"""Parts of life left at which a certificate that is not renewed is talked of."""
FIRST_RETRY: Final = 0.05
LONGEST_RETRY: Final = 30.0
PAUSE: Final = 0.05
"""The longest pause between attempts, as a part of the certificate's life."""


class AskFailed(Exception):
    """The CA gave no certificate; the message says why."""


class Authority(Protocol):
    """Who signs."""

    async def sign(self, request: str, current: Credentials | None) -> list[str]:
        """The chain for a request in PEM; `current` proves who asks, when there is a good one. Raises AskFailed."""


class Clock:
    """The time, and waiting."""

    def now(self) -> datetime:
        """In UTC."""
        return datetime.now(UTC)

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)


@dataclass(slots=True)
class KeeperStats:
    """How it goes."""

    renewals: int = 0
    failures: int = 0
    last_failure: str = ""


class CertificateKeeper:
    """`run` for ever; `current` is None until there is a first certificate."""

    def __init__(
        self,
        identity: SpiffeId,
        authority: Authority,
        changed: Callable[[Credentials], Awaitable[None]],
        chance: Callable[[], float],
        clock: Clock | None = None,
        key_type: KeyType = "ecdsa",
    ) -> None:
        """`changed` hears of each new certificate. Where it raises RuntimeError it is told again."""
        self.current: Credentials | None = None
        self.stats = KeeperStats()
        self._identity = identity
        self._authority = authority
        self._changed = changed
        self._chance = chance
        self._clock = clock or Clock()
        self._key_type = key_type
        self._marks = list(MARKS)
        self._received = self._clock.now()

    async def run(self) -> None:
        """Until cancelled."""
        backoff = Backoff(FIRST_RETRY, LONGEST_RETRY)
        while True:
            try:
                await self._renew()
            except (AskFailed, InvalidCertificate) as error:
                self.stats.failures += 1
                self.stats.last_failure = str(error)
                self._tell(error)
                await self._clock.sleep(min(backoff.next(self._chance()), self._longest_pause()))
                continue
            backoff.reset()
            await self._clock.sleep(self._seconds_until_due())

    async def _renew(self) -> None:
        key: PrivateKey = await asyncio.to_thread(new_key, self._key_type)
        chain = await self._authority.sign(make_request(key, self._identity), self._good())
        credentials = Credentials.received(key, chain)
        if credentials.identity != self._identity:
            raise InvalidCertificate(f"the CA takes this workload for {credentials.identity}, not {self._identity}")
        if credentials.ends <= self._clock.now():
            raise InvalidCertificate(
                f"the CA's certificate has ended at {credentials.ends} already: compare the clocks"
            )
        self.current = credentials
        self._received = self._clock.now()
        self.stats.renewals += 1
        self._marks = list(MARKS)
        log.info("Certificate of %s, good until %s", credentials.identity, credentials.ends)
        await self._hand_over(credentials)

    def _good(self) -> Credentials | None:
        """What there is, unless it has ended: nobody would believe it, and a token may still be good."""
        current = self.current
        return current if current is not None and current.ends > self._clock.now() else None

    async def _hand_over(self, credentials: Credentials) -> None:
        """Again and again while it is not taken, as long as it is worth anything."""
        backoff = Backoff(FIRST_RETRY, LONGEST_RETRY)
        while True:
            try:
                await self._changed(credentials)
            except RuntimeError as error:
                log.error("The new certificate is not used yet: %s", error)
                if credentials.ends <= self._clock.now():
                    return
                await self._clock.sleep(backoff.next(self._chance()))
            else:
                return

    def _seconds_until_due(self) -> float:
        assert self.current is not None  # noqa: S101 - it was renewed just now
        due = self.current.renew_at(self._chance(), self._received)
        return max(0.0, (due - self._clock.now()).total_seconds())

    def _longest_pause(self) -> float:
        """Short lives leave little time to try again."""
        if self.current is None:
            return LONGEST_RETRY
        return (self.current.ends - self._received).total_seconds() * PAUSE

    def _tell(self, error: Exception) -> None:
        """Once for each mark that is passed; every time where there is no good certificate."""
        if self.current is None:
            log.warning("No certificate yet: %s", error)
            return
        left = self.current.life_left(self._received, self._clock.now())
        if left <= 0:
            log.error("The certificate has ended at %s and cannot be renewed: %s", self.current.ends, error)
            return
        passed = [mark for mark in self._marks if left <= mark]
        if passed:
            self._marks = [mark for mark in self._marks if left > mark]
            log.warning(
                "%.0f %% of the certificate's life is over, and it cannot be renewed: %s", 100 - 100 * left, error
            )
