"""Envoy messages from short dictionaries."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.endpoint.v3 import endpoint_pb2
from envoy.config.listener.v3 import listener_pb2
from envoy.config.route.v3 import route_pb2
from envoy.extensions.access_loggers.file.v3 import file_pb2  # noqa: F401  # registers the type for json_format
from envoy.extensions.filters.http.router.v3 import router_pb2  # noqa: F401
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2  # noqa: F401
from envoy.extensions.filters.network.tcp_proxy.v3 import tcp_proxy_pb2  # noqa: F401
from envoy.service.discovery.v3 import discovery_pb2
from google.protobuf.json_format import ParseDict

MANAGER = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
ADS = {"ads": {}, "resource_api_version": "V3"}


def eds_cluster(name: str, **more: Any) -> Any:
    return ParseDict(
        {"name": name, "type": "EDS", "eds_cluster_config": {"eds_config": ADS}} | more, cluster_pb2.Cluster()
    )


def endpoints(name: str, *ports: int) -> Any:
    found = [
        {"endpoint": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": port}}}} for port in ports
    ]
    return ParseDict(
        {"cluster_name": name, "endpoints": [{"lb_endpoints": found}]}, endpoint_pb2.ClusterLoadAssignment()
    )


def routes(name: str, cluster: str, **route: Any) -> Any:
    entry = {"match": {"prefix": "/"}, "route": {"cluster": cluster}} | route
    hosts = [{"name": "all", "domains": ["*"], "routes": [entry]}]
    return ParseDict({"name": name, "virtual_hosts": hosts}, route_pb2.RouteConfiguration())


def http_listener(name: str, port: int = 9080, **manager: Any) -> Any:
    router = {
        "name": "router",
        "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"},
    }
    config = {
        "@type": f"type.googleapis.com/{MANAGER}",
        "stat_prefix": name,
        "http_filters": [router],
    }
    if "route_config" not in manager:
        config["rds"] = {"route_config_name": "routes", "config_source": ADS}
    return ParseDict(
        {
            "name": name,
            "address": {"socket_address": {"address": "127.0.0.1", "port_value": port}},
            "filter_chains": [{"filters": [{"name": "hcm", "typed_config": config | manager}]}],
        },
        listener_pb2.Listener(),
    )


def response(nonce: str, *messages: Any, removed: tuple[str, ...] = (), kind: str = "") -> Any:
    """A DeltaDiscoveryResponse of one type; `kind` names it when there is no message."""
    url = kind or f"type.googleapis.com/{messages[0].DESCRIPTOR.full_name}"
    answer = discovery_pb2.DeltaDiscoveryResponse(type_url=url, nonce=nonce, removed_resources=removed)
    for message in messages:
        name = message.cluster_name if hasattr(message, "cluster_name") else message.name
        packed = answer.resources.add(name=name, version=nonce)
        packed.resource.Pack(message)
    return answer


@pytest.fixture
def make() -> dict[str, Callable[..., Any]]:
    """The makers of messages, by name."""
    return {
        "cluster": eds_cluster,
        "endpoints": endpoints,
        "routes": routes,
        "listener": http_listener,
        "response": response,
    }
