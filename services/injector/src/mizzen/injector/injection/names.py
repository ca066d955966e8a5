"""Names that Istio fixed: containers, labels, annotations, ports."""

from __future__ import annotations

from typing import Any, Final

Object = dict[str, Any]
"""A Kubernetes object or a part of one, as JSON gives it."""

PROXY: Final = "istio-proxy"
INIT: Final = "istio-init"
SECTIONS: Final = ("initContainers", "containers")
"""The lists of containers in a Pod's spec."""

PROXY_ID: Final = 1337
"""User and group of the proxy; capture knows the proxy's own traffic by them."""

OUTBOUND_PORT: Final = 15001
INBOUND_PORT: Final = 15006
ADMIN_PORT: Final = 15000
STATUS_PORT: Final = 15020
HEALTH_PORT: Final = 15021
PROMETHEUS_PORT: Final = 15090
RESERVED_PORTS: Final = frozenset({15000, 15001, 15004, 15006, 15008, 15020, 15021, 15053, 15090})
"""Ports of the proxy, which an application cannot be scraped at."""

INJECT: Final = "sidecar.istio.io/inject"
REVISION: Final = "istio.io/rev"
NAMESPACE_LABEL: Final = "istio-injection"
STATUS: Final = "sidecar.istio.io/status"
OVERRIDES: Final = "proxy.istio.io/overrides"
TEMPLATES: Final = "inject.istio.io/templates"
PROXY_CONFIG: Final = "proxy.istio.io/config"
NATIVE: Final = "sidecar.istio.io/nativeSidecar"
INTERCEPTION: Final = "sidecar.istio.io/interceptionMode"
REWRITE_PROBES: Final = "sidecar.istio.io/rewriteAppHTTPProbers"
STATUS_PORT_ANNOTATION: Final = "status.sidecar.istio.io/port"
BIND_LOW_PORTS: Final = "sidecar.istio.io/capNetBindService"
USER_VOLUME: Final = "sidecar.istio.io/userVolume"
USER_VOLUME_MOUNT: Final = "sidecar.istio.io/userVolumeMount"
MERGE_METRICS: Final = "prometheus.istio.io/merge-metrics"
NETWORK: Final = "topology.istio.io/network"

PROBERS_VARIABLE: Final = "ISTIO_KUBE_APP_PROBERS"
SCRAPE_VARIABLE: Final = "ISTIO_PROMETHEUS_ANNOTATIONS"


class InjectionError(Exception):
    """A Pod cannot be injected; the message names the annotation or field, its value, and what would be right."""
