"""Port 15020 over sockets, beside a proxy that the test plays and beside our real agent."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import web
from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.listener.v3 import listener_pb2
from envoy.extensions.filters.http.router.v3 import router_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm_pb2
from fake_pilot import FakePilot
from google.protobuf import json_format

from mizzen.proxy.app import envoy
from mizzen.proxy.app.agent import serve
from mizzen.proxy.app.pod import scrape
from mizzen.proxy.app.pod.server import PodPages, local, reachable, serve_with_pod
from mizzen.proxy.app.servers import HttpServer, Request, Response
from mizzen.proxy.app.settings import Settings, read_settings
from mizzen.runtime.address import Address, unused_port
from mizzen.runtime.errors import StartError
from mizzen.runtime.lifecycle import Lifecycle

OPEN = "application/openmetrics-text; version=1.0.0; charset=utf-8"
STATS = {
    "cluster_manager.cds.update_success": 1,
    "listener_manager.lds.update_success": 1,
    "listener_manager.workers_started": 1,
}


class Neighbours:
    """The proxy's admin and metrics pages and an application's metrics, all on one port."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.accept: dict[str, str] = {}
        self.stats: dict[str, int] = {}
        self.state = "PRE_INITIALIZING"
        self.application = web.Response(text="app_total 3\n# EOF\n", headers={"Content-Type": OPEN})
        self.metrics_status = 200

    async def answer(self, request: web.Request) -> web.Response:
        self.asked.append(f"{request.method} {request.path_qs}")
        self.accept[request.path] = request.headers.get("Accept", "")
        match request.path:
            case "/stats":
                rows = [{"name": name, "value": value} for name, value in self.stats.items()]
                return web.json_response({"stats": rows})
            case "/ready":
                return web.Response(text=f"{self.state}\n", status=200 if self.state == "LIVE" else 503)
            case "/stats/prometheus":
                return web.Response(text="envoy_x 2\n", status=self.metrics_status)
            case "/m":
                return self.application
        return web.Response(text="OK\n")


@pytest.fixture
async def beside() -> AsyncIterator[SimpleNamespace]:
    """Neighbours, the Pod's server, and what would stop the proxy; `settings` with a stock Envoy."""
    neighbours = Neighbours()
    runner = web.ServerRunner(web.Server(neighbours.answer, access_log=None))  # type: ignore[arg-type]
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port = int(runner.addresses[0][1])
    lifecycle = Lifecycle()
    pages, server = make_pages(port, lifecycle, "envoy")
    address = await server.start(Address("127.0.0.1", 0))
    yield SimpleNamespace(neighbours=neighbours, port=port, address=address, lifecycle=lifecycle, pages=pages)
    await server.close()
    await runner.cleanup()


def make_pages(port: int, lifecycle: Lifecycle, engine: str) -> tuple[PodPages, HttpServer]:
    environment = {
        "INSTANCE_IP": "127.0.0.1",
        "ISTIO_PROMETHEUS_ANNOTATIONS": json.dumps({"port": str(port), "path": "/m"}),
        "ISTIO_KUBE_APP_PROBERS": json.dumps({"/app-health/app/livez": {"tcpSocket": {"port": port}}}),
        "MIZZEN_PROXY_ADMIN_ADDRESS": f"127.0.0.1:{port}",
        "MIZZEN_PROXY_PROMETHEUS_PORT": str(port),
    }
    settings = read_settings(["--engine", engine], environment, None, tuple)
    assert settings.pod is not None
    pages = PodPages(settings, settings.pod, lifecycle)
    return pages, HttpServer(pages.routes(), pages.unknown, pages.longest())


async def test_ready_when_envoy_has_both_and_is_live(beside: SimpleNamespace, app: SimpleNamespace) -> None:
    neighbours = beside.neighbours
    neighbours.state = "LIVE"
    for name, lacking in zip(STATS, ("clusters", "listeners", "workers"), strict=True):
        answer = await app.fetch(*beside.address, "/healthz/ready")
        assert (answer.status, answer.body.split()[0]) == (503, lacking)
        neighbours.stats[name] = STATS[name]
    assert (await app.fetch(*beside.address, "/healthz/ready")).status == 200
    neighbours.stats.clear()  # what it has, it keeps
    neighbours.state = "DRAINING"
    answer = await app.fetch(*beside.address, "/healthz/ready")
    assert (answer.status, answer.body) == (503, "server is not live, current state is: DRAINING\n")
    neighbours.state = "LIVE"
    beside.lifecycle.stop("test")
    assert (await app.fetch(*beside.address, "/healthz/ready")).status == 503


async def test_nobody_is_admin(app: SimpleNamespace) -> None:
    _, server = make_pages(unused_port(), Lifecycle(), "python")
    address = await server.start(Address("127.0.0.1", 0))
    try:
        ready = await app.fetch(*address, "/healthz/ready")
        drained = await app.fetch(*address, "/drain", "POST")
        metrics = await app.fetch(*address, "/metrics")
    finally:
        await server.close()
    assert (ready.status, drained.status) == (503, 503)
    assert "does not answer" in ready.body
    assert metrics.status == 200
    assert 'istio_agent_scrape_failures_total{type="envoy"} 1\n' in metrics.body


@pytest.mark.parametrize("path", ["/metrics", "/stats/prometheus"])
async def test_metrics_of_all_three(beside: SimpleNamespace, app: SimpleNamespace, path: str) -> None:
    answer = await app.fetch(*beside.address, f"{path}?filter=a%20b&usedonly")
    assert (answer.status, answer.headers["Content-Type"]) == (200, OPEN)
    assert answer.body.endswith("istio_agent_scrapes_total 1\nenvoy_x 2\napp_total 3\n# EOF\n")
    assert "GET /stats/prometheus?filter=a+b&usedonly=" in beside.neighbours.asked
    assert beside.neighbours.accept["/stats/prometheus"] == "text/plain;version=0.0.4"


async def test_sources_that_fail_are_left_out_and_counted(beside: SimpleNamespace, app: SimpleNamespace) -> None:
    beside.neighbours.metrics_status = 500
    beside.neighbours.application = web.Response(status=404)
    await app.fetch(*beside.address, "/metrics")
    answer = await app.fetch(*beside.address, "/metrics")
    assert (answer.status, answer.headers["Content-Type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
    assert "envoy_x" not in answer.body
    for kind in ("envoy", "application"):  # each page shows what is known when it is put together
        assert f'istio_agent_scrape_failures_total{{type="{kind}"}} 2\n' in answer.body


async def test_a_page_that_is_too_large_is_left_out(
    beside: SimpleNamespace, app: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scrape, "MAX_APPLICATION", 10)
    answer = await app.fetch(*beside.address, "/metrics")
    assert "app_total" not in answer.body
    assert "envoy_x 2" in answer.body
    assert 'istio_agent_scrape_failures_total{type="application"} 1' in answer.body


async def test_bytes_that_are_no_text_pass(beside: SimpleNamespace, app: SimpleNamespace) -> None:
    beside.neighbours.application = web.Response(body=b'x{a="\xff"} 1\n')
    reader, writer = await asyncio.open_connection(*beside.address)
    writer.write(b"GET /metrics HTTP/1.1\r\n\r\n")
    assert (await asyncio.wait_for(reader.read(), 10)).endswith(b'x{a="\xff"} 1\n')
    writer.close()


async def test_quit_ends_the_proxy(beside: SimpleNamespace, app: SimpleNamespace) -> None:
    assert (await app.fetch(*beside.address, "/quitquitquit")).status == 405
    assert not beside.lifecycle.stopping
    answer = await app.fetch(*beside.address, "/quitquitquit", "POST")
    assert (answer.status, answer.body, beside.lifecycle.reason) == (200, "OK\n", "/quitquitquit")


async def test_drain_is_the_proxys(beside: SimpleNamespace, app: SimpleNamespace) -> None:
    answer = await app.fetch(*beside.address, "/drain", "POST")
    assert (answer.status, answer.body) == (200, "OK\n")
    assert [asked.replace("=", "") for asked in beside.neighbours.asked] == [
        "POST /drain_listeners?graceful&inboundonly&skip_exit"
    ]
    assert not beside.lifecycle.stopping


@pytest.mark.parametrize(
    ("client", "status"),
    [("127.0.0.1", 200), ("127.0.0.6", 200), ("::1", 200), ("10.0.0.7", 403), ("fd00::7", 403)],
)
async def test_only_the_pod_itself_may_end_it(client: str, status: int) -> None:
    async def end(request: Request) -> Response:
        return Response("OK\n")

    assert (await local(end)(Request("POST", "/quitquitquit", client=client))).status == status


@pytest.mark.parametrize(
    ("path", "status"),
    [("/app-health/app/livez", 200), ("/app-health/app/readyz", 400), ("/app-lifecycle/x/prestopz", 400), ("/x", 404)],
)
async def test_probes_by_path(beside: SimpleNamespace, app: SimpleNamespace, path: str, status: int) -> None:
    assert (await app.fetch(*beside.address, path)).status == status


def test_wildcards_are_reached_on_loopback() -> None:
    wildcards = (Address("0.0.0.0", 1), Address("::", 1), Address("127.1.0.3", 1))
    assert [reachable(address).host for address in wildcards] == ["127.0.0.1", "::1", "127.1.0.3"]


def injected(tmp_path: Path, pilot: int, **environment: str) -> Settings:
    """A sidecar beside an application, with all its ports chosen by us."""
    ports = {name: str(unused_port()) for name in ("STATUS_PORT", "PROMETHEUS_PORT", "AGENT_PORT")}
    stated = {
        "PROXY_CONFIG": "{}",
        "INSTANCE_IP": "127.0.0.1",
        "MIZZEN_PROXY_ADMIN_ADDRESS": f"127.0.0.1:{unused_port()}",
        "MIZZEN_PROXY_DISCOVERY_ADDRESS": f"127.0.0.1:{pilot}",
        "MIZZEN_PROXY_STATE_DIR": str(tmp_path),
        **{f"MIZZEN_PROXY_{name}": port for name, port in ports.items()},
        **environment,
    }
    return read_settings([], stated, None, tuple)


@pytest.mark.parametrize(
    ("engine", "lacking"),
    [
        (serve, "server is not live, current state is: PRE_INITIALIZING"),
        (envoy.serve, "clusters were not received from Pilot (is it running?)"),
    ],
    ids=["python", "envoy"],
)
async def test_a_whole_proxy_and_its_pod(app: SimpleNamespace, tmp_path: Path, engine: Any, lacking: str) -> None:
    pilot, lifecycle = FakePilot(), Lifecycle()
    await pilot.start()
    settings = injected(tmp_path, pilot.port, MIZZEN_PROXY_ENGINE="python" if engine is serve else "envoy")
    assert settings.pod is not None
    agent = settings.pod.address
    running = asyncio.create_task(serve_with_pod(engine, settings.pod, settings, lifecycle))
    try:
        await answering(app, settings.admin_address)
        first = await app.fetch(*agent, "/healthz/ready")
        assert (first.status, first.body) == (503, f"{lacking}\n")
        await app.until(lambda: bool(pilot.requests))
        pilot.send(_cluster(), nonce="c")
        pilot.send(_listener(unused_port()), nonce="l")
        await ready(app, agent)
        metrics = await app.fetch(*agent, "/stats/prometheus")
        assert "envoy_server_live{} 1\n" in metrics.body
        assert "istio_agent_startup_duration_seconds " in metrics.body
        assert (await app.fetch(*agent, "/drain", "POST")).body == "OK\n"
        assert (await app.fetch(*agent, "/quitquitquit", "POST")).status == 200
        await asyncio.wait_for(running, 20)
        assert lifecycle.reason == "/quitquitquit"
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await pilot.close()
    with pytest.raises(ConnectionRefusedError):
        await app.fetch(*agent, "/healthz/ready")


async def ready(app: SimpleNamespace, agent: Address) -> None:
    async with asyncio.timeout(30):
        while (await app.fetch(*agent, "/healthz/ready")).status != 200:  # noqa: ASYNC110 - as the kubelet does
            await asyncio.sleep(0.05)


async def test_a_state_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    settings = dataclasses.replace(injected(tmp_path, 1), state_dir=tmp_path / "file")
    with pytest.raises(StartError, match=r"bootstrap cannot be written to .*file.*name another one with --state-dir"):
        await envoy.serve(settings, Lifecycle())


async def test_a_taken_port_is_named(tmp_path: Path) -> None:
    settings = injected(tmp_path, 1)
    assert settings.pod is not None
    server = HttpServer({})
    taken = await server.start(Address("127.0.0.1", 0))
    pod = dataclasses.replace(settings.pod, address=taken)
    try:
        with pytest.raises(StartError, match=f"{taken} is taken"):
            await serve_with_pod(serve, pod, settings, Lifecycle())
    finally:
        await server.close()


async def answering(app: SimpleNamespace, address: Address) -> None:
    async with asyncio.timeout(30):
        while True:
            try:
                await app.fetch(*address, "/ready")
                return
            except OSError:
                await asyncio.sleep(0.05)


def _cluster() -> Any:
    return json_format.ParseDict({"name": "inbound|9080||", "type": "STATIC"}, cluster_pb2.Cluster())


def _listener(port: int) -> Any:
    """Answers everything itself."""
    assert router_pb2
    route = {"match": {"prefix": "/"}, "direct_response": {"status": 418}}
    types = "type.googleapis.com/envoy.extensions.filters"
    manager = {
        "@type": f"{types}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "web",
        "route_config": {"name": "web", "virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}]},
        "http_filters": [{"name": "r", "typed_config": {"@type": f"{types}.http.router.v3.Router"}}],
    }
    plain = {
        "name": "web",
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": port}},
        "filter_chains": [{"filters": [{"name": "h", "typed_config": manager}]}],
    }
    assert hcm_pb2
    return json_format.ParseDict(plain, listener_pb2.Listener())
