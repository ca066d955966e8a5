"""Captured traffic through real proxies: programs that know nothing of them, on both sides.

Every story is told with Mizzen's proxy and with a stock Envoy.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import pytest
from capture.harness import dial
from capture.harness.mesh import EXCLUDED_PORT, EXCLUDED_UID, Mesh, mesh
from capture.harness.programs import PYTHON
from capture.harness.registry import SERVICES, WEB
from capture.harness.stories import APPLICATION_UID, OUTBOUND_WEB, crossed, curl, eventually, web_url

WEB_SERVICE, REDIS_SERVICE, MAIL, ODD = SERVICES
pytestmark = pytest.mark.timeout(180)


@pytest.fixture(scope="module", params=["python", "envoy"])
def captured(request: pytest.FixtureRequest) -> Iterator[Mesh]:
    with mesh(request.param) as made:
        yield made


@pytest.mark.parametrize("family", ["ipv4", "ipv6"])
def test_an_unmodified_http_client_crosses_both_proxies(captured: Mesh, family: str):
    url = web_url(getattr(WEB_SERVICE, family))
    path = url.rpartition("/")[2]
    response = curl(captured.client, url, "-H", "Host: web")
    assert response.status == 200
    assert response.seen["name"] == "server"
    assert "x-envoy-upstream-service-time" in response.headers
    assert response.seen["headers"]["x-request-id"]
    assert response.seen["peer"] in ("::ffff:127.0.0.6", "::6")
    crossed(captured, "client", path, OUTBOUND_WEB)
    crossed(captured, "server", path, "inbound|8080||")


def test_a_call_to_a_pods_own_address_crosses_both_proxies_too(captured: Mesh):
    url = web_url(captured.server.ipv4, WEB)
    assert curl(captured.client, url).seen["name"] == "server"
    crossed(captured, "client", "PassthroughCluster", f"{captured.server.ipv4}:{WEB}")
    crossed(captured, "server", url.rpartition("/")[2], "inbound|8080||")


def test_a_client_outside_of_the_mesh_is_captured_at_the_server(captured: Mesh):
    for address in (captured.server.ipv4, captured.server.ipv6):
        url = web_url(address, WEB)
        response = curl(captured.outside, url)
        assert response.seen["peer"] in ("::ffff:127.0.0.6", "::6")
        crossed(captured, "server", url.rpartition("/")[2], "inbound|8080||")


@pytest.mark.parametrize("family", ["ipv4", "ipv6"])
def test_an_unmodified_redis_client(captured: Mesh, family: str):
    value = secrets.token_hex(8)
    known = len(captured.log_lines("server", "inbound|6379||"))
    redis = ("redis-cli", "-h", getattr(REDIS_SERVICE, family), "-p", str(REDIS_SERVICE.port))
    assert captured.client.run(*redis, "set", "key", value, uid=APPLICATION_UID) == "OK\n"
    assert captured.client.run(*redis, "get", "key", uid=APPLICATION_UID) == f"{value}\n"
    crossed(captured, "client", "outbound|6379||redis.default.svc.cluster.local", getattr(REDIS_SERVICE, family))
    eventually(lambda: len(captured.log_lines("server", "inbound|6379||")) >= known + 2, "two connections more")


@pytest.mark.parametrize("family", ["ipv4", "ipv6"])
@pytest.mark.parametrize("service", [MAIL, ODD], ids=["declared", "undeclared"])
def test_a_protocol_whose_server_speaks_first(captured: Mesh, service, family: str):
    word = secrets.token_hex(8)
    address = getattr(service, family)
    arguments = (address, str(service.port), "--hear-first", "--say", word)
    heard = captured.client.run(PYTHON, dial.__file__, *arguments, uid=APPLICATION_UID)
    assert heard == f"220 server is ready\n250 {word}\n"
    crossed(captured, "client", f"outbound|{service.port}||{service.name}.default.svc.cluster.local", address)


@pytest.mark.parametrize("family", ["ipv4", "ipv6"])
def test_a_process_that_calls_its_own_service(captured: Mesh, family: str):
    url = web_url(getattr(WEB_SERVICE, family))
    path = url.rpartition("/")[2]
    assert curl(captured.server, url, "-H", "Host: web").seen["name"] == "server"
    crossed(captured, "server", path, OUTBOUND_WEB)
    crossed(captured, "server", path, "inbound|8080||")


def test_a_process_that_calls_itself_directly_is_left_alone(captured: Mesh):
    for address in ("127.0.0.1", "::1", captured.server.ipv4, captured.server.ipv6):
        response = curl(captured.server, web_url(address, WEB))
        assert "x-envoy-upstream-service-time" not in response.headers
        assert "x-request-id" not in response.seen["headers"]


def test_excluded_ports_and_users_are_not_captured(captured: Mesh):
    for url, uid in (
        (web_url(captured.outside.ipv4, EXCLUDED_PORT), APPLICATION_UID),
        (web_url(captured.outside.ipv6, EXCLUDED_PORT), APPLICATION_UID),
        (web_url(captured.outside.ipv4), EXCLUDED_UID),
    ):
        response = curl(captured.client, url, uid=uid)
        assert response.seen["name"] == "outside"
        assert "x-request-id" not in response.seen["headers"]
    # The same address and port is captured for anybody else.
    assert "x-request-id" in curl(captured.client, web_url(captured.outside.ipv4)).seen["headers"]


def test_what_the_mesh_does_not_know_passes_or_ends_by_policy(captured: Mesh):
    tcp, http = (captured.outside.ipv4, WEB), (captured.outside.ipv4, 80)
    assert curl(captured.client, web_url(*tcp)).seen["name"] == "outside"
    assert curl(captured.client, web_url(*http)).seen["name"] == "outside"
    crossed(captured, "client", "PassthroughCluster", f"{tcp[0]}:{tcp[1]}")
    crossed(captured, "client", "PassthroughCluster", f"{http[0]}:80")
    captured.set_outbound_policy("REGISTRY_ONLY")
    try:
        eventually(lambda: curl(captured.client, web_url(*http)).status == 502, "a refusal of an unknown host")
        ended = captured.client.attempt("curl", "-sS", "--max-time", "10", web_url(*tcp), uid=APPLICATION_UID)
        assert ended.returncode in (52, 56), ended
        crossed(captured, "client", "BlackHoleCluster", f"{tcp[0]}:{tcp[1]}")
        assert curl(captured.client, web_url(WEB_SERVICE.ipv4), "-H", "Host: web").status == 200
    finally:
        captured.set_outbound_policy("ALLOW_ANY")
    eventually(lambda: curl(captured.client, web_url(*http)).status == 200, "an unknown host that answers again")
