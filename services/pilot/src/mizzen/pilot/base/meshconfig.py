"""Settings of the whole mesh."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class MeshConfig:
    """The part of Istio's MeshConfig that generation reads, with Istio's defaults; durations are seconds."""

    access_log_file: str = ""
    """Where proxies log requests, for instance /dev/stdout; empty switches the log off."""
    access_log_format: str = ""
    """Envoy's format operators; empty means Istio's default format. With JSON: a JSON object of strings."""
    access_log_encoding: Literal["TEXT", "JSON"] = "TEXT"
    outbound_traffic_policy: Literal["ALLOW_ANY", "REGISTRY_ONLY"] = "ALLOW_ANY"
    connect_timeout: float = 10.0
    protocol_detection_timeout: float = 0.0
    dns_refresh_rate: float = 60.0
    proxy_listen_port: int = 15001
    proxy_inbound_listen_port: int = 15006
    proxy_http_port: int = 0
    root_namespace: str = "istio-system"
    domain_suffix: str = "cluster.local"
