"""Certificates that live seconds, from Pilot's authority to a workload: renewed in time, and across an outage."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from joserfc import jwt
from joserfc.jwk import ECKey, KeySet

from mizzen.identity.certificate import certificates_from_pem
from mizzen.identity.keeping.settings import IdentitySettings
from mizzen.identity.spiffe import SpiffeId
from mizzen.pilot.app.authority import AuthoritySettings
from mizzen.pilot.app.pilot import Pilot
from mizzen.pilot.app.settings import Settings
from mizzen.proxy.app.identity.workload import WorkloadIdentity
from mizzen.proxy.engine.tls_plan import OWN_CERTIFICATE, SecretPlan
from mizzen.runtime.address import Address, unused_port

LIFE_SECONDS = 8
ISSUER = ECKey.generate_key("P-256", {"kid": "one"})
REVIEWS = SpiffeId("cluster.local", "default", "reviews")


@asynccontextmanager
async def pilot(folder: Path, secure: Address) -> AsyncIterator[None]:
    """One that signs at this address."""
    authority = AuthoritySettings(secure, folder / "ca", folder / "keys.json")
    anywhere = Address("127.0.0.1", 0)
    running = Pilot(Settings(anywhere, anywhere, folder, folder, authority=authority), stores=())
    try:
        await running.start()
        yield
    finally:
        await running.close()


class Workload:
    """What its workers were given, and until when each certificate was good when the next one came."""

    def __init__(self) -> None:
        self.ends: list[datetime] = []
        self.late: list[datetime] = []

    async def take(self, plans: tuple[SecretPlan, ...]) -> None:
        """As the agent's workers do."""
        own = next((plan for plan in plans if plan.name == OWN_CERTIFICATE), None)
        if own is None:
            return  # a file with roots was read
        if self.ends and self.ends[-1] <= datetime.now(UTC):
            self.late.append(self.ends[-1])
        self.ends.append(certificates_from_pem(own.chain)[0].not_valid_after_utc)


async def until(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(50):
        while not condition():  # noqa: ASYNC110 - there is no event for it
            await asyncio.sleep(0.02)


async def test_certificates_of_seconds_are_renewed_in_time_and_across_an_outage(tmp_path: Path) -> None:
    (tmp_path / "keys.json").write_text(json.dumps(KeySet([ISSUER]).as_dict(private=False)))
    until_then = int((datetime.now(UTC) + timedelta(minutes=5)).timestamp())
    claims = {"sub": "system:serviceaccount:default:reviews", "aud": ["istio-ca"], "exp": until_then}
    (tmp_path / "token").write_text(jwt.encode({"alg": "ES256", "kid": "one"}, claims, ISSUER))
    secure = Address("127.0.0.1", unused_port())
    roots = tmp_path / "ca" / "root-cert.pem"
    settings = IdentitySettings(REVIEWS, secure, roots, tmp_path / "token", LIFE_SECONDS)
    workload = Workload()
    identity = WorkloadIdentity(settings, workload.take)

    async with pilot(tmp_path, secure):
        keeping = asyncio.create_task(identity.run())
        await until(lambda: len(workload.ends) == 2)
    try:
        await until(lambda: identity.keeper.stats.failures > 0)
        assert len(workload.ends) == 2
        async with pilot(tmp_path, secure):
            await until(lambda: len(workload.ends) == 4)
    finally:
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)
    assert workload.late == []
    assert workload.ends == sorted(workload.ends)
