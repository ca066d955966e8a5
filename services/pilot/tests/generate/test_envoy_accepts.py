"""A stock Envoy judges everything that is generated."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from envoy.config.bootstrap.v3 import bootstrap_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm_pb2
from google.protobuf import json_format

from mizzen.api.parse import parse
from mizzen.pilot.base.meshconfig import MeshConfig

HERE = Path(__file__).parent
ENVOY = Path(sys.executable).with_name("envoy")
REDIRECT = {"LABELS": {"app": "client"}, "HTTP_PROXY_PORT": "15007"}
NONE = {**REDIRECT, "INTERCEPTION_MODE": "NONE"}
TPROXY = {**REDIRECT, "INTERCEPTION_MODE": "TPROXY"}
IPV6 = {**REDIRECT, "INSTANCE_IPS": "fd00::9"}
DUAL = {**REDIRECT, "INSTANCE_IPS": "10.0.0.9,fd00::9"}
LOCAL = {**NONE, "BIND_ADDRESS": "127.1.0.9", "APP_ADDRESS": "127.2.0.9"}


def inline(world: Any, proxy: Any, listener: Any) -> None:
    """Replace RDS by the route configuration itself: validation has no server to ask."""
    for chain in [*listener.filter_chains, listener.default_filter_chain]:
        for network_filter in chain.filters:
            if not network_filter.typed_config.Is(hcm_pb2.HttpConnectionManager.DESCRIPTOR):
                continue
            manager = hcm_pb2.HttpConnectionManager()
            network_filter.typed_config.Unpack(manager)
            if manager.HasField("rds"):
                name = manager.rds.route_config_name
                routes = world.routes(proxy, name)
                assert name in routes, f"{listener.name} refers to routes {name}, which are not generated"
                manager.route_config.CopyFrom(routes[name])
                network_filter.typed_config.Pack(manager)


def bootstrap(world: Any, proxy: Any) -> Any:
    config = bootstrap_pb2.Bootstrap()
    config.node.id, config.node.cluster = proxy.id, "test"
    for listener in world.listeners(proxy).values():
        inline(world, proxy, listener)
        config.static_resources.listeners.append(listener)
    for name, cluster in world.clusters(proxy).items():
        if cluster.HasField("eds_cluster_config"):
            cluster.ClearField("eds_cluster_config")
            cluster.type = cluster.STATIC
            cluster.load_assignment.cluster_name = name
            world.endpoints(proxy, name)
        config.static_resources.clusters.append(cluster)
    return config


def validate(config: Any, folder: Path) -> None:
    path = folder / "bootstrap.json"
    path.write_text(json_format.MessageToJson(config))
    result = subprocess.run(
        [ENVOY, "--mode", "validate", "-c", str(path), "--log-level", "warning"],
        capture_output=True, text=True, timeout=50, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr[-3000:] + result.stdout[-3000:]


MODES = {"redirect": REDIRECT, "tproxy": TPROXY, "ipv6": IPV6, "dual": DUAL, "none": NONE, "loopback": LOCAL}


@pytest.mark.parametrize("metadata", MODES.values(), ids=MODES)
@pytest.mark.parametrize("encoding", ["TEXT", "JSON"])
def test_sidecar(world: Any, sidecar: Any, metadata: dict[str, Any], encoding: Any, tmp_path: Path) -> None:
    settings = MeshConfig(access_log_file="/dev/stdout", access_log_encoding=encoding)
    made = world((HERE / "rich.yaml").read_text(), settings=settings)
    config = bootstrap(made, sidecar(**metadata))
    assert len(config.static_resources.listeners) >= 3
    assert len(config.static_resources.clusters) > 20
    validate(config, tmp_path)


def test_gateway(world: Any, router: Any, tmp_path: Path) -> None:
    made = world((HERE / "rich.yaml").read_text())
    config = bootstrap(made, router())
    assert {listener.name for listener in config.static_resources.listeners} == {
        "0.0.0.0_8080",
        "0.0.0.0_8089",
        "0.0.0.0_31400",
    }
    validate(config, tmp_path)


def test_the_rich_config_is_without_problems() -> None:
    assert parse((HERE / "rich.yaml").read_text()).errors == ()
