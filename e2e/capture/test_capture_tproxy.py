"""The mode TPROXY: inbound connections that cross the proxy with their client's address."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from capture.harness.mesh import Mesh, mesh
from capture.harness.registry import SERVICES, WEB
from capture.harness.stories import OUTBOUND_WEB, crossed, curl, web_url

WEB_SERVICE = SERVICES[0]
pytestmark = pytest.mark.timeout(180)


@pytest.fixture(scope="module", params=["python", "envoy"])
def captured(request: pytest.FixtureRequest) -> Iterator[Mesh]:
    with mesh(request.param, server_mode="TPROXY") as made:
        yield made


@pytest.mark.parametrize("family", ["ipv4", "ipv6"])
def test_an_inbound_connection_crosses_the_proxy_and_keeps_its_clients_address(captured: Mesh, family: str):
    url = web_url(getattr(captured.server, family), WEB)
    response = curl(captured.outside, url)
    # Our proxy connects from its own address (docs/todo.md).
    addresses = {"envoy": (captured.outside.ipv4, captured.outside.ipv6), "python": ("127.0.0.6", "::6")}
    assert response.seen["peer"].removeprefix("::ffff:") in addresses[captured.engine]
    crossed(captured, "server", url.rpartition("/")[2], "inbound|8080||")


def test_a_call_from_the_mesh_crosses_both_proxies(captured: Mesh):
    url = web_url(WEB_SERVICE.ipv4)
    path = url.rpartition("/")[2]
    assert curl(captured.client, url, "-H", "Host: web").seen["name"] == "server"
    crossed(captured, "client", path, OUTBOUND_WEB)
    crossed(captured, "server", path, "inbound|8080||")


def test_a_process_that_calls_its_own_service(captured: Mesh):
    url = web_url(WEB_SERVICE.ipv4)
    path = url.rpartition("/")[2]
    assert curl(captured.server, url, "-H", "Host: web").seen["name"] == "server"
    crossed(captured, "server", path, OUTBOUND_WEB)
    crossed(captured, "server", path, "inbound|8080||")
