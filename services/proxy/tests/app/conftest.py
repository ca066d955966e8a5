"""Plans to run, workers to run them, and a small HTTP client."""

from __future__ import annotations

import asyncio
import http.client
from collections.abc import AsyncIterator, Callable
from types import SimpleNamespace

import pytest

from mizzen.proxy.app.workers import Workers
from mizzen.proxy.engine.match_plan import PathMatch, RouteMatch
from mizzen.proxy.engine.plan import HttpPlan, ListenerPlan, Respond, RoutePlan, RouteTablePlan, VirtualHostPlan
from mizzen.runtime.address import unused_port


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
