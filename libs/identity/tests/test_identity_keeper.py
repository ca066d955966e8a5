"""The certificate of a workload through its life, with a CA that signs, fails, lies and comes back."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from mizzen.identity.certificate import certificate_to_pem
from mizzen.identity.credentials import Credentials
from mizzen.identity.keeping.keeper import AskFailed, CertificateKeeper, Clock
from mizzen.identity.keys import new_key
from mizzen.identity.request import requested_key
from mizzen.identity.spiffe import SpiffeId

REVIEWS = SpiffeId("cluster.local", "default", "reviews")
ROOT_KEY = new_key()
ROOT = (
    x509.CertificateBuilder()
    .subject_name(x509.Name([]))
    .issuer_name(x509.Name([]))
    .public_key(ROOT_KEY.public_key())
    .serial_number(1)
    .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
    .not_valid_after(datetime(2100, 1, 1, tzinfo=UTC))
    .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    .sign(ROOT_KEY, hashes.SHA256())
)


class FakeClock(Clock):
    """Time passes when somebody waits."""

    def __init__(self) -> None:
        self.time = datetime(2026, 11, 23, 12, tzinfo=UTC)

    def now(self) -> datetime:
        return self.time

    async def sleep(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)
        await asyncio.sleep(0)


class CA:
    """Signs as it is told; every answer is one of `plan`, the last one for ever."""

    def __init__(self, *plan: Any) -> None:
        self.plan = list(plan)
        self.asked: list[Credentials | None] = []
        self.clock = FakeClock()
        self.times: list[float] = []
        """When it was asked, in seconds after the beginning."""

    async def sign(self, request: str, current: Credentials | None) -> list[str]:
        self.asked.append(current)
        step = self.plan.pop(0) if len(self.plan) > 1 else self.plan[0]
        now = self.clock.now()
        self.times.append((now - FakeClock().now()).total_seconds())
        if isinstance(step, Exception):
            raise step
        begins, ends, identity = step
        leaf = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([]))
            .issuer_name(ROOT.subject)
            .public_key(requested_key(request))
            .serial_number(len(self.asked))
            .not_valid_before(now + begins)
            .not_valid_after(now + ends)
            .add_extension(x509.SubjectAlternativeName([x509.UniformResourceIdentifier(str(identity))]), critical=True)
            .sign(ROOT_KEY, hashes.SHA256())
        )
        return [certificate_to_pem(leaf), certificate_to_pem(ROOT)]


def good(seconds: float, identity: SpiffeId = REVIEWS, ago: float = 0.0) -> Any:
    return timedelta(seconds=-ago), timedelta(seconds=seconds), identity


async def run(ca: CA, changes: int, *, chance: float = 0.5) -> tuple[CertificateKeeper, list[Credentials]]:
    """Until so many certificates have come."""
    found: list[Credentials] = []
    enough = asyncio.Event()

    async def changed(credentials: Credentials) -> None:
        found.append(credentials)
        if len(found) == changes:
            enough.set()

    keeper = CertificateKeeper(REVIEWS, ca, changed, lambda: chance, ca.clock)
    running = asyncio.create_task(keeper.run())
    try:
        async with asyncio.timeout(20):
            await enough.wait()
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    return keeper, found


async def test_the_first_is_asked_for_with_a_token_and_the_next_with_the_first() -> None:
    ca = CA(good(3600))
    _, (first, second) = await run(ca, 2)
    assert ca.asked == [None, first]
    assert ca.times == [0, 1800]
    assert first.key.public_key() != second.key.public_key()


async def test_a_certificate_that_began_before_it_was_made_is_renewed_at_half_of_what_is_left() -> None:
    """Authorities let them begin two minutes ago; with a life of one minute it was a new one at once, for ever."""
    ca = CA(good(60, ago=120))
    await run(ca, 3)
    assert ca.times == [0, 30, 60]


async def test_a_short_life_is_tried_for_more_often() -> None:
    ca = CA(good(60), *[AskFailed("gone")] * 12, good(60))
    await run(ca, 2)
    assert ca.times[-1] < 60, "before its end"


@pytest.mark.parametrize(("chance", "due"), [(0.0, 0.49), (0.5, 0.5), (1.0, 0.51)])
async def test_a_certificate_is_renewed_at_about_half_of_its_life(chance: float, due: float) -> None:
    ca = CA(good(10_000))
    await run(ca, 2, chance=chance)
    assert ca.times[1] == pytest.approx(10_000 * due)


async def test_it_is_kept_while_the_ca_is_away(caplog: pytest.LogCaptureFixture) -> None:
    gone = [AskFailed("gone")] * 100  # at half a minute each: from half of its life to beyond its end
    ca = CA(good(3600), *gone, good(3600))
    with caplog.at_level(logging.WARNING):
        keeper, (first, _) = await run(ca, 2)
    assert {current for current, at in zip(ca.asked[1:], ca.times[1:], strict=True) if at < 3600} == {first}
    assert keeper.stats.failures == 100
    told = [
        record.getMessage().partition(" of the certificate's life is over, and it cannot be renewed: gone")[0]
        for record in caplog.records
        if record.levelno == logging.WARNING
    ]
    assert told == ["50 %", "75 %", "90 %"], "once for a mark, not for each attempt"


async def test_a_certificate_that_has_ended_proves_nothing_to_the_ca() -> None:
    """Who was away or asleep for longer than its certificate begins with its token again."""
    ca = CA(good(3600), *[AskFailed("gone")] * 100, good(3600))
    _, (first, second) = await run(ca, 2)
    after_its_end = [current for current, at in zip(ca.asked, ca.times, strict=True) if at >= 3600]
    assert after_its_end
    assert set(after_its_end) == {None}
    assert second is not first


async def test_whoever_does_not_take_a_certificate_is_told_again() -> None:
    told: list[Credentials] = []
    taken = asyncio.Event()

    async def changed(credentials: Credentials) -> None:
        told.append(credentials)
        if len(told) < 3:
            raise RuntimeError("not now")
        taken.set()

    ca = CA(good(3600))
    running = asyncio.create_task(CertificateKeeper(REVIEWS, ca, changed, lambda: 0.5, ca.clock).run())
    try:
        async with asyncio.timeout(20):
            waiting = asyncio.ensure_future(taken.wait())
            await asyncio.wait({waiting, running}, return_when=asyncio.FIRST_COMPLETED)
            assert not running.done()
    finally:
        running.cancel()
        waiting.cancel()
        await asyncio.gather(running, waiting, return_exceptions=True)
    assert told == [told[0]] * 3


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (
            good(3600, SpiffeId("cluster.local", "default", "bank")),
            "takes this workload for spiffe://cluster.local/ns/default/sa/bank",
        ),
        (good(-1, ago=60), "compare the clocks"),
    ],
)
async def test_a_wrong_certificate_is_not_used(answer: Any, reason: str, caplog: pytest.LogCaptureFixture) -> None:
    keeper, found = await run(CA(answer, good(3600)), 1)
    assert len(found) == 1
    assert keeper.stats.failures == 1
    assert reason in keeper.stats.last_failure
    assert "No certificate yet: the CA" in caplog.text


async def test_a_key_is_in_no_log() -> None:
    _, (credentials,) = await run(CA(good(3600)), 1)
    assert "PRIVATE" in credentials.key_pem
    assert "PRIVATE" not in repr(credentials)
    assert repr(credentials).startswith("Credentials(spiffe://cluster.local/ns/default/sa/reviews, until ")
