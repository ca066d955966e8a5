"""Keys of issuers of tokens in a whole Pilot: fetched after a change of configuration, known before it serves again."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

KEYS = '{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}'
POLICY = """
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {name: users, namespace: istio-system}
spec: {jwtRules: [{issuer: me, jwksUri: "URL"}]}
"""


class Issuer:
    """Answers with a status, and with keys if it is 200."""

    url = ""
    status = 503


@pytest.fixture
async def issuer() -> AsyncIterator[Issuer]:
    found = Issuer()

    async def keys(request: web.Request) -> web.Response:
        return web.Response(status=found.status, text=KEYS)

    application = web.Application()
    application.router.add_get("/keys", keys)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    found.url = f"http://127.0.0.1:{runner.addresses[0][1]}/keys"
    yield found
    await runner.cleanup()


async def test_keys_become_known_while_pilot_serves_and_are_known_when_it_starts(pilot: Any, issuer: Issuer) -> None:
    pilot.apply("config/users.yaml", POLICY.replace("URL", issuer.url))

    async def complains() -> bool:
        return any("are not known (yet)" in problem.message for problem in pilot.pilot.world.mesh.problems)

    async def known() -> list[str]:
        return list(pilot.pilot.world.mesh.keys.values())

    await pilot.until(complains)
    assert await known() == []
    issuer.status = 200
    assert await pilot.until(known) == [KEYS]
    assert not await complains()
    await pilot.stop()
    await pilot.start()
    assert await known() == [KEYS], "whoever connects now is told at once"
    pilot.delete("config/users.yaml")

    async def forgotten() -> bool:
        return not pilot.pilot.world.mesh.authentication

    await pilot.until(forgotten)
    assert not pilot.pilot.world.mesh.key_sources
