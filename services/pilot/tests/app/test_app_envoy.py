"""A stock Envoy as the client: it accepts everything, and no request fails while traffic follows the configuration."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from mizzen.runtime.address import unused_port

RICH = Path(__file__).parent.with_name("generate") / "rich.yaml"
SERVICE = """
apiVersion: v1
kind: Service
metadata: {name: reviews}
spec: {ports: [{port: 9080, name: http}], selector: {app: reviews}}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: front}
spec:
  selector: {istio: ingressgateway}
  servers: [{port: {number: PORT, name: http, protocol: HTTP}, hosts: ["*"]}]
"""
SLICE = """
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: reviews-VERSION, labels: {kubernetes.io/service-name: reviews}}
addressType: IPv4
ports: [{name: http, port: PORT}]
endpoints: [{addresses: [127.0.0.1], targetRef: {kind: Pod, name: reviews-VERSION}}]
---
apiVersion: v1
kind: Pod
metadata: {name: reviews-VERSION, labels: {app: reviews, version: VERSION}}
spec: {containers: [{name: app}]}
"""
RULE = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: reviews}
spec: {host: reviews, subsets: [SUBSETS]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews}
spec:
  hosts: ["*"]
  gateways: [front]
  http: [{route: [{destination: {host: reviews, subset: SUBSET}}]}]
"""


def rule(subset: str, *subsets: str) -> str:
    """Traffic to one subset, while these are declared."""
    declared = ", ".join(f"{{name: {name}, labels: {{version: {name}}}}}" for name in subsets)
    return RULE.replace("SUBSETS", declared).replace("SUBSET", subset)


class Site:
    """Two versions of a backend, an Envoy gateway in front, and a Pilot that configures it."""

    def __init__(self, pilot: Any, envoy: Any) -> None:
        self.pilot = pilot
        self.envoy = envoy
        self.port = unused_port()
        self._runners: list[web.AppRunner] = []

    async def start(self, api_type: str) -> None:
        """Bring up the backends and their gateway."""
        for version in ("v1", "v2"):
            port = await self._backend(version)
            self.pilot.apply(f"registry/{version}.yaml", SLICE.replace("VERSION", version).replace("PORT", str(port)))
        self.pilot.apply("config/reviews.yaml", SERVICE.replace("PORT", str(self.port)))
        self.pilot.apply("config/rule.yaml", rule("v1", "v1"))
        labels = {"istio": "ingressgateway"}
        self.envoy.api_type = api_type
        await self.envoy.start(
            self.pilot.xds, "router~127.0.0.1~front.default", LABELS=labels, BIND_ADDRESS="127.0.0.1"
        )
        await self.pilot.synced(1, "cds", "lds", "eds", "rds")

    async def stop(self) -> None:
        for runner in self._runners:
            await runner.cleanup()

    async def _backend(self, version: str) -> int:
        async def answer(request: web.Request) -> web.Response:
            return web.Response(text=version)

        application = web.Application()
        application.router.add_get("/", answer)
        runner = web.AppRunner(application, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self._runners.append(runner)
        return int(runner.addresses[0][1])

    async def ask(self, session: aiohttp.ClientSession) -> str:
        """Who answers a request; the status where it is an error."""
        async with session.get(f"http://127.0.0.1:{self.port}/") as response:
            return await response.text() if response.status == 200 else str(response.status)

    async def until(self, session: aiohttp.ClientSession, version: str) -> set[str]:
        """All answers until `version` gives five of them in a row."""
        answers: list[str] = []
        async with asyncio.timeout(20):
            while answers[-5:] != [version] * 5:
                answers.append(await self.ask(session))
        return set(answers)


@pytest.fixture
async def site(pilot: Any, envoy: Any) -> AsyncIterator[Site]:
    site = Site(pilot, envoy)
    yield site
    await site.stop()


VARIANTS = pytest.mark.parametrize("api_type", ["GRPC", "DELTA_GRPC"])


@VARIANTS
async def test_a_sidecar_accepts_all_that_istios_api_can_say(
    pilot: Any, envoy: Any, own_address: str, api_type: str
) -> None:
    port = unused_port()
    envoy.api_type = api_type
    pilot.apply("config/rich.yaml", RICH.read_text())
    await pilot.until(lambda: pilot.get("/debug/registryz"))
    await envoy.start(
        *(pilot.xds, "sidecar~127.0.0.1~client.default"),
        LABELS={"app": "client"},
        INTERCEPTION_MODE="NONE",
        HTTP_PROXY_PORT=str(port),
        BIND_ADDRESS=own_address,
        APP_ADDRESS="127.0.0.1",
    )
    [row] = await pilot.synced(1, "cds", "lds", "eds", "rds")
    assert row["types"]["cds"]["resources"] > 20
    assert row["types"]["eds"]["resources"] > 10
    assert not [name for name in await pilot.metrics() if name.startswith("pilot_total_xds_rejects")]


@VARIANTS
@pytest.mark.parametrize("addresses", ["127.0.0.1", "127.0.0.1,::1"])
async def test_a_captured_sidecar_accepts_it_too(pilot: Any, envoy: Any, addresses: str, api_type: str) -> None:
    ports = {"proxyListenPort": unused_port(), "proxyInboundListenPort": unused_port()}
    await pilot.stop()
    pilot.apply("mesh.yaml", json.dumps(ports))
    await pilot.start()
    envoy.api_type = api_type
    pilot.apply("config/rich.yaml", RICH.read_text())
    await pilot.until(lambda: pilot.get("/debug/registryz"))
    await envoy.start(
        *(pilot.xds, "sidecar~127.0.0.1~client.default"),
        LABELS={"app": "reviews"},
        INSTANCE_IPS=addresses,
    )
    [row] = await pilot.synced(1, "cds", "lds", "eds", "rds")
    assert row["types"]["lds"]["resources"] > 10
    assert not [name for name in await pilot.metrics() if name.startswith("pilot_total_xds_rejects")]


@VARIANTS
async def test_an_envoy_follows_without_a_nack_or_a_failed_request(site: Site, api_type: str) -> None:
    pilot = site.pilot
    await site.start(api_type)
    async with aiohttp.ClientSession() as session:
        assert await site.ask(session) == "v1"
        # In one stroke the old subset goes and a new one takes its place: make before break.
        pilot.apply("config/rule.yaml", rule("v2", "v2"))
        assert await site.until(session, "v2") == {"v1", "v2"}
        pilot.apply("config/rule.yaml", rule("v1", "v1"))
        assert await site.until(session, "v1") == {"v1", "v2"}

        await pilot.synced(1, "cds", "lds", "eds", "rds")
        names = [cluster["name"] for cluster in (await pilot.get("/debug/config_dump?proxyID=front.default"))["cds"]]
        assert not any("|v2|" in name for name in names)

        # Pilot goes; traffic does not notice. It comes back and leads again.
        await pilot.stop()
        pilot.apply("config/rule.yaml", rule("v2", "v1", "v2"))
        assert await site.ask(session) == "v1"
        await pilot.start()
        assert await site.until(session, "v2") == {"v1", "v2"}
        [row] = await pilot.synced(1, "cds", "lds", "eds", "rds")
        assert (row["proxy_type"], row["version"]) == ("router", "envoy/1.40.0")
    metrics = await pilot.metrics()
    assert not [name for name in metrics if name.startswith("pilot_total_xds_rejects")]


@VARIANTS
async def test_what_went_while_pilot_was_down_leaves_after_the_routes(site: Site, api_type: str) -> None:
    pilot = site.pilot
    await site.start(api_type)
    async with aiohttp.ClientSession() as session:
        for old, new in (("v1", "v2"), ("v2", "v1")):
            assert await site.ask(session) == old
            await pilot.stop()
            pilot.apply("config/rule.yaml", rule(new, new))
            await pilot.start()
            assert await site.until(session, new) == {old, new}
            [row] = await pilot.synced(1, "cds", "lds", "eds", "rds")
        # What was replaced is gone in the end.
        assert row["types"]["eds"]["resources"] == row["types"]["cds"]["resources"] - 1
