"""The bootstrap of a stock Envoy: who it is, where Pilot is, and the two listeners for probes and Prometheus."""

from __future__ import annotations

from typing import Any

from mizzen.proxy.app.settings import Settings
from mizzen.runtime.address import Address

XDS_CLUSTER = "xds-grpc"
ADMIN_CLUSTER = "admin"
_EXTENSIONS = "type.googleapis.com/envoy.extensions"
_ADS = {"ads": {}, "resource_api_version": "V3", "initial_fetch_timeout": "0s"}


def bootstrap(settings: Settings) -> dict[str, Any]:
    """Envoy's Bootstrap message as JSON."""
    node = settings.node
    return {
        "node": {"id": node.id, "cluster": node.cluster, "metadata": dict(node.metadata)},
        "admin": {"address": _address(settings.admin_address)},
        "dynamic_resources": {
            "ads_config": {
                "api_type": "DELTA_GRPC",
                "transport_api_version": "V3",
                "set_node_on_first_message_only": True,
                "grpc_services": [{"envoy_grpc": {"cluster_name": XDS_CLUSTER}}],
            },
            "cds_config": _ADS,
            "lds_config": _ADS,
        },
        "cluster_manager": _cluster_manager(node.metadata.get("BIND_ADDRESS", "")),
        "static_resources": {
            "clusters": [_xds_cluster(settings.discovery_address), _cluster(ADMIN_CLUSTER, settings.admin_address)],
            "listeners": [
                _relay("status", settings.status_address, "/healthz/ready", "/ready"),
                _relay("prometheus", settings.prometheus_address, "/stats/prometheus", ""),
            ],
        },
    }


def _cluster_manager(own: object) -> dict[str, Any]:
    """On loopback every workload shares 127.0.0.1 unless it calls from its own address; Mixer tells them by that."""
    if not str(own).startswith("127."):
        return {}
    return {"upstream_bind_config": {"source_address": {"address": own, "port_value": 0}}}


def _cluster(name: str, address: Address) -> dict[str, Any]:
    endpoint = {"endpoint": {"address": _address(address)}}
    return {
        "name": name,
        "type": "STATIC",
        "connect_timeout": "1s",
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [endpoint]}]},
    }


def _xds_cluster(address: Address) -> dict[str, Any]:
    http2 = {"connection_keepalive": {"interval": "30s", "timeout": "10s"}}
    options = {
        "@type": f"{_EXTENSIONS}.upstreams.http.v3.HttpProtocolOptions",
        "explicit_http_config": {"http2_protocol_options": http2},
    }
    return _cluster(XDS_CLUSTER, address) | {
        "type": "STRICT_DNS",
        "typed_extension_protocol_options": {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": options},
    }


def _relay(name: str, address: Address, path: str, target: str) -> dict[str, Any]:
    """A listener that serves one GET path of the admin interface; `target` "" is the same path."""
    action: dict[str, Any] = {"cluster": ADMIN_CLUSTER, "timeout": "10s"}
    if target:
        action["prefix_rewrite"] = target
    method = {"name": ":method", "string_match": {"exact": "GET"}}
    manager = {
        "@type": f"{_EXTENSIONS}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": name,
        "route_config": {
            "virtual_hosts": [
                {
                    "name": name,
                    "domains": ["*"],
                    "routes": [{"match": {"path": path, "headers": [method]}, "route": action}],
                }
            ]
        },
        "http_filters": [
            {
                "name": "envoy.filters.http.router",
                "typed_config": {"@type": f"{_EXTENSIONS}.filters.http.router.v3.Router"},
            }
        ],
    }
    network = {"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}
    return {"name": name, "address": _address(address), "filter_chains": [{"filters": [network]}]}


def _address(address: Address) -> dict[str, Any]:
    return {"socket_address": {"address": address.host, "port_value": address.port}}
