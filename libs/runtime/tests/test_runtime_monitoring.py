from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web
from prometheus_client import CollectorRegistry, Counter

from mizzen.runtime.address import Address
from mizzen.runtime.errors import StartError
from mizzen.runtime.monitoring import MonitoringServer


class Service:
    def __init__(self) -> None:
        self.reason = "waiting for the first configuration"
        self.registry = CollectorRegistry()
        Counter("cups", "Cups of tea", registry=self.registry).inc(3)
        self.server = MonitoringServer(
            self.registry, lambda: self.reason, {"version": "1.2"}, {"/debug/echo": self.echo}
        )

    async def echo(self, request: web.Request) -> web.Response:
        return web.json_response(dict(request.query))

    async def get(self, path: str, **headers: str) -> tuple[int, str, str]:
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"http://{self.server.address}{path}", headers=headers) as response,
        ):
            return response.status, response.content_type, await response.text()


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    service = Service()
    await service.server.start(Address("127.0.0.1", 0))
    yield service
    await service.server.close()


async def test_ready_tells_the_reason_until_it_is(service: Service) -> None:
    assert await service.get("/ready") == (503, "text/plain", "waiting for the first configuration\n")
    service.reason = ""
    assert await service.get("/ready") == (200, "text/plain", "ready\n")


async def test_metrics_version_and_own_pages(service: Service) -> None:
    status, kind, body = await service.get("/metrics")
    assert (status, kind) == (200, "text/plain")
    assert "cups_total 3.0" in body
    status, kind, body = await service.get("/metrics", Accept="application/openmetrics-text")
    assert (kind, body.endswith("# EOF\n")) == ("application/openmetrics-text", True)
    assert (await service.get("/version"))[2] == '{"version": "1.2"}'
    assert (await service.get("/debug/echo?a=1"))[2] == '{"a": "1"}'


async def test_a_taken_port_is_named(service: Service) -> None:
    second = Service().server
    with pytest.raises(StartError, match=f"{service.server.address} is taken"):
        await second.start(service.server.address)
