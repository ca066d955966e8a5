"""The bootstrap of a stock Envoy: who it is, where Pilot is, and the two listeners for probes and Prometheus."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

from mizzen.proxy.app.settings import Settings
from mizzen.proxy.engine.tls_plan import OWN_CERTIFICATE, OWN_ROOTS
from mizzen.runtime.address import Address

XDS_CLUSTER = "xds-grpc"
SDS_CLUSTER = "sds-grpc"
SDS_SOCKET = "var/run/secrets/workload-spiffe-uds/socket"
"""Of the agent beside, in Envoy's work folder."""
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
            "clusters": _clusters(settings),
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


def _clusters(settings: Settings) -> list[dict[str, Any]]:
    """Pilot, and what is beside Envoy. With an identity Pilot is reached over mutual TLS, with SDS's certificate."""
    pilot = _cluster(XDS_CLUSTER, _address(settings.discovery_address)) | {"type": "STRICT_DNS"}
    pilot |= _http2(connection_keepalive={"interval": "30s", "timeout": "10s"})
    admin = _cluster(ADMIN_CLUSTER, _address(settings.admin_address))
    agent = _cluster(SDS_CLUSTER, {"pipe": {"path": f"./{SDS_SOCKET}"}}) | _http2()
    if settings.has_secure_xds:
        pilot["transport_socket"] = _mutual_tls(settings.discovery_address.host)
    return [pilot, admin, agent]


def _cluster(name: str, address: dict[str, Any]) -> dict[str, Any]:
    endpoint = {"endpoint": {"address": address}}
    return {
        "name": name,
        "type": "STATIC",
        "connect_timeout": "1s",
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [endpoint]}]},
    }


def _http2(**options: Any) -> dict[str, Any]:
    protocol = {
        "@type": f"{_EXTENSIONS}.upstreams.http.v3.HttpProtocolOptions",
        "explicit_http_config": {"http2_protocol_options": options},
    }
    return {"typed_extension_protocol_options": {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": protocol}}


def _mutual_tls(host: str) -> dict[str, Any]:
    """A transport socket that shows the workload's certificate, and believes a server certified as this host."""
    kind = "IP_ADDRESS" if _is_ip(host) else "DNS"
    expected = {"match_typed_subject_alt_names": [{"san_type": kind, "matcher": {"exact": host}}]}
    context = {
        "@type": f"{_EXTENSIONS}.transport_sockets.tls.v3.UpstreamTlsContext",
        "sni": "" if kind == "IP_ADDRESS" else host,
        "common_tls_context": {
            "alpn_protocols": ["h2"],
            "tls_params": {"tls_minimum_protocol_version": "TLSv1_2"},
            "tls_certificate_sds_secret_configs": [_secret(OWN_CERTIFICATE)],
            "combined_validation_context": {
                "default_validation_context": expected,
                "validation_context_sds_secret_config": _secret(OWN_ROOTS),
            },
        },
    }
    return {"name": "envoy.transport_sockets.tls", "typed_config": context}


def _secret(name: str) -> dict[str, Any]:
    source = {
        "api_type": "GRPC",
        "transport_api_version": "V3",
        "set_node_on_first_message_only": True,
        "grpc_services": [{"envoy_grpc": {"cluster_name": SDS_CLUSTER}}],
    }
    config = {"api_config_source": source, "initial_fetch_timeout": "0s", "resource_api_version": "V3"}
    return {"name": name, "sds_config": config}


def _is_ip(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


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
