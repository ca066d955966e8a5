"""The kubelet's probes of a Pod with captured traffic: from outside to the agent, from there around the proxy."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from capture.harness.mesh import Mesh, mesh
from capture.harness.registry import WEB
from capture.harness.stories import crossed, curl, web_url

pytestmark = pytest.mark.timeout(180)
AGENT_PORT = 15020


@pytest.fixture(scope="module", params=["python", "envoy"])
def captured(request: pytest.FixtureRequest) -> Iterator[Mesh]:
    with mesh(request.param) as made:
        yield made


def agent(captured: Mesh, path: str) -> str:
    return f"http://{captured.server.ipv4}:{AGENT_PORT}{path}"


def logged_after(captured: Mesh) -> None:
    """Send a request through the proxy, and wait until it is logged: so is what went through it before."""
    url = web_url(captured.server.ipv4, WEB)
    assert curl(captured.outside, url).status == 200
    crossed(captured, "server", url.rpartition("/")[2])


def test_an_http_probe_reaches_the_application_and_not_the_proxy(captured: Mesh) -> None:
    response = curl(captured.outside, agent(captured, "/app-health/web/livez"))
    assert (response.status, response.seen["name"]) == (200, "server")
    assert response.seen["peer"] == "::ffff:127.0.0.6"
    assert "x-request-id" not in response.seen["headers"]
    assert response.seen["headers"]["host"] == f"{captured.server.ipv4}:8080"
    logged_after(captured)
    assert not captured.log_lines("server", "/live")


@pytest.mark.parametrize(("name", "status"), [("redis", "200"), ("none", "500")])
def test_a_tcp_probe_sees_whether_the_application_listens(captured: Mesh, name: str, status: str) -> None:
    asked = agent(captured, f"/app-health/{name}/readyz")
    shown = captured.outside.run("curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", "--max-time", "10", asked)
    assert shown == status
    logged_after(captured)
    assert not captured.log_lines("server", "inbound|6379||")


def test_readiness_and_metrics_from_outside(captured: Mesh) -> None:
    for path, expected in (("/healthz/ready", "ready\n"), ("/metrics", "envoy_server_live{} 1\n")):
        shown = captured.outside.run("curl", "-fsS", "--max-time", "10", agent(captured, path))
        assert expected in shown


def test_only_the_pod_itself_may_end_its_proxy(captured: Mesh) -> None:
    command = ("curl", "-sS", "-X", "POST", "--max-time", "10", agent(captured, "/quitquitquit"))
    assert captured.outside.run(*command) == "Only requests from localhost are allowed\n"
