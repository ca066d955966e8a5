"""Plans to run, workers to run them, and a small HTTP client."""

from __future__ import annotations

import asyncio
import http.client
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fake_pilot import FakePilot

from mizzen.proxy.app.agent import Agent
from mizzen.proxy.app.settings import read_settings
from mizzen.proxy.app.workers import Workers
from mizzen.proxy.engine.match_plan import PathMatch, RouteMatch
from mizzen.proxy.engine.plan import HttpPlan, ListenerPlan, Respond, RoutePlan, RouteTablePlan, VirtualHostPlan
from mizzen.runtime.address import unused_port
from mizzen.runtime.lifecycle import Lifecycle


def table(status: int, name: str = "table") -> RouteTablePlan:
    """Answers every request with `status`."""
    route = RoutePlan("all", RouteMatch(PathMatch("prefix", "/")), Respond(status, b"direct"))
    return RouteTablePlan(name, (VirtualHostPlan("all", ("*",), (route,)),))


def listener(port: int, name: str = "web", routes: RouteTablePlan | str = "table") -> ListenerPlan:
    return ListenerPlan(name, "127.0.0.1", port, "inbound", HttpPlan(stat_prefix=name, route_table=routes))


async def fetch(host: str, port: int, path: str = "/", method: str = "GET") -> SimpleNamespace:
    """Status, headers and body of one request."""

    def ask() -> SimpleNamespace:
        connection = http.client.HTTPConnection(host, port, timeout=10)
        try:
            connection.request(method, path, headers={"Connection": "close"})
            answer = connection.getresponse()
            return SimpleNamespace(status=answer.status, headers=answer.headers, body=answer.read().decode())
        finally:
            connection.close()

    return await asyncio.to_thread(ask)


async def until(condition: Callable[[], bool]) -> None:
    """Wait until something has happened; the test's own time-out bounds it."""
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - processes of the system have no events here
            await asyncio.sleep(0.02)


@pytest.fixture
def app() -> SimpleNamespace:
    """The helpers above."""
    return SimpleNamespace(unused_port=unused_port, table=table, listener=listener, fetch=fetch, until=until)


@pytest.fixture
async def workers() -> AsyncIterator[Workers]:
    """Two worker processes."""
    running = Workers(2, "WARNING")
    await running.start()
    yield running
    await running.stop(0)


@pytest.fixture
async def pilot() -> AsyncIterator[FakePilot]:
    running = FakePilot()
    await running.start()
    yield running
    await running.close()


@pytest.fixture
async def agent(pilot: FakePilot, app: SimpleNamespace, tmp_path: Path) -> AsyncIterator[SimpleNamespace]:
    """The agent, a way to ask its pages, and what would stop it."""
    ports = [app.unused_port() for _ in range(3)]
    arguments = [
        *("--name", "web-1", "--labels", "app=web", "--bind-address", "127.0.0.1", "--drain-seconds", "0.5"),
        *("--admin-address", f"127.0.0.1:{ports[0]}", "--status-port", str(ports[1])),
        *("--prometheus-port", str(ports[2]), "--discovery-address", f"127.0.0.1:{pilot.port}"),
        *("--state-dir", str(tmp_path)),
    ]
    lifecycle = Lifecycle()
    running = Agent(read_settings(arguments, {}), lifecycle)
    await running.start()

    async def get(path: str, method: str = "GET", port: int = ports[0]) -> Any:
        return await app.fetch("127.0.0.1", port, path, method)

    yield SimpleNamespace(agent=running, lifecycle=lifecycle, get=get, status=ports[1], prometheus=ports[2])
    await running.close()
