"""The node that asks for configuration."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast, get_args

from mizzen.pilot.base.labels import NONE, Labels, labels

ProxyType = Literal["sidecar", "router"]
PolicyCheck = Literal["", "enable", "disable", "allow-on-error"]
POLICY_CHECK = "policy.istio.io/check"


@dataclass(frozen=True, slots=True)
class Proxy:
    """A data-plane node; hashable, so that what depends on it can be cached by it."""

    id: str
    """`<type>~<ip>~<pod>.<namespace>~<domain>`."""
    type: ProxyType
    addresses: tuple[str, ...]
    """The first is the primary one."""
    name: str
    namespace: str
    domain: str
    """DNS search domain, for instance default.svc.cluster.local."""
    labels: Labels = NONE
    locality: str = ""
    interception: Literal["REDIRECT", "TPROXY", "NONE"] = "REDIRECT"
    generator: str = ""
    """"grpc" asks for resources of gRPC's own xDS client."""
    http_proxy_port: int = 0
    bind_address: str = ""
    """Where listeners bind in place of the wildcard (our metadata BIND_ADDRESS)."""
    app_address: str = ""
    """Where the application listens (our metadata APP_ADDRESS)."""
    idle_timeout: float = 0.0
    """Downstream idle limit in seconds (metadata IDLE_TIMEOUT); 0 means Envoy's own."""
    accept_http_10: bool = False
    unprivileged: bool = False
    status_port: int = 15021
    prometheus_port: int = 15090
    """Where the proxy itself answers (metadata ENVOY_STATUS_PORT and ENVOY_PROMETHEUS_PORT)."""
    mizzen: bool = False
    """Our own data plane, which understands our extensions (metadata MIZZEN_PROXY)."""
    policy_check: PolicyCheck = ""
    """What the pod's annotation says about checks, whatever the mesh says; empty when it says nothing."""
    workload: str = ""
    cluster_id: str = ""
    network: str = ""
    service_account: str = ""
    principal: str = ""
    """The SPIFFE id of a proxy that has a certificate."""
    verified: bool = False
    """It has proved its namespace and service account; never what a node says of itself."""

    @property
    def captures(self) -> bool:
        """Connections are redirected to the proxy, so per-port listeners need no socket of their own."""
        return self.type == "sidecar" and self.interception != "NONE"

    @property
    def transparent(self) -> bool:
        """Captured connections keep the client's address all the way to the application."""
        return self.captures and self.interception == "TPROXY"

    def has_family(self, version: int) -> bool:
        """Whether any of its addresses is of this version of IP: 4 or 6."""
        return any(ipaddress.ip_address(address).version == version for address in self.addresses)

    @property
    def dns_domain(self) -> str:
        """The registry's suffix: `cluster.local` of `default.svc.cluster.local`."""
        _, found, suffix = self.domain.partition(".svc.")
        return suffix if found else self.domain

    @classmethod
    def from_node(cls, node_id: str, metadata: Mapping[str, Any], locality: str = "") -> Proxy:
        """Read the node of a first request; `metadata` is Node.metadata as plain values.

        Raises ValueError with a sentence for the client.
        """
        parts = node_id.split("~")
        if len(parts) != 4:
            raise ValueError(f"node id {node_id!r} must be <type>~<ip>~<name>.<namespace>~<domain>")
        kind, address, identity, domain = parts
        if kind not in ("sidecar", "router"):
            raise ValueError(f"node id {node_id!r}: type {kind!r} is not sidecar or router")
        name, _, id_namespace = identity.rpartition(".")
        return cls(
            id=node_id,
            type=cast("ProxyType", kind),
            addresses=_addresses(node_id, address, metadata),
            name=name or identity,
            namespace=_text(metadata, "NAMESPACE") or id_namespace or "default",
            domain=domain,
            labels=_labels(metadata),
            locality=locality,
            interception=_interception(metadata),
            generator=_text(metadata, "GENERATOR"),
            http_proxy_port=_port(metadata, "HTTP_PROXY_PORT"),
            bind_address=_text(metadata, "BIND_ADDRESS"),
            app_address=_text(metadata, "APP_ADDRESS"),
            idle_timeout=_seconds(metadata, "IDLE_TIMEOUT"),
            accept_http_10=_flag(metadata, "HTTP10"),
            unprivileged=_flag(metadata, "UNPRIVILEGED_POD"),
            status_port=_port(metadata, "ENVOY_STATUS_PORT") or 15021,
            prometheus_port=_port(metadata, "ENVOY_PROMETHEUS_PORT") or 15090,
            mizzen=_flag(metadata, "MIZZEN_PROXY"),
            policy_check=_policy_check(metadata),
            workload=_text(metadata, "WORKLOAD_NAME"),
            cluster_id=_text(metadata, "CLUSTER_ID"),
            network=_text(metadata, "NETWORK"),
            service_account=_text(metadata, "SERVICE_ACCOUNT"),
            principal=_text(metadata, "PRINCIPAL"),
        )


def _text(metadata: Mapping[str, Any], key: str) -> str:
    value = metadata.get(key, "")
    return value if isinstance(value, str) else ""


def _flag(metadata: Mapping[str, Any], key: str) -> bool:
    return metadata.get(key) in (True, "true", "1")


def _port(metadata: Mapping[str, Any], key: str) -> int:
    text = _text(metadata, key)
    if not text:
        return 0
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise ValueError(f"node metadata {key} must be a port number, not {text!r}")
    return int(text)


def _seconds(metadata: Mapping[str, Any], key: str) -> float:
    text = _text(metadata, key)
    if not text:
        return 0.0
    for unit, factor in (("ms", 0.001), ("s", 1.0), ("m", 60.0), ("h", 3600.0)):
        number = text.removesuffix(unit)
        if number != text and number.replace(".", "", 1).isdecimal():
            return float(number) * factor
    raise ValueError(f"node metadata {key} must be a duration like 30s, not {text!r}")


def _addresses(node_id: str, address: str, metadata: Mapping[str, Any]) -> tuple[str, ...]:
    stated = tuple(part.strip() for part in _text(metadata, "INSTANCE_IPS").split(",") if part.strip())
    addresses = stated or (address,)
    for candidate in addresses:
        try:
            ipaddress.ip_address(candidate)
        except ValueError:
            raise ValueError(f"node id {node_id!r}: {candidate!r} is not an IP address") from None
    return addresses


def _labels(metadata: Mapping[str, Any]) -> Labels:
    merged: dict[str, str] = {}
    for key in ("STATIC_LABELS", "LABELS"):
        values = metadata.get(key)
        if isinstance(values, Mapping):
            merged.update({str(name): str(value) for name, value in values.items()})
    return labels(merged)


def _policy_check(metadata: Mapping[str, Any]) -> PolicyCheck:
    """Istio 1.1 sends the annotation beside the other metadata, later versions send all annotations as one object."""
    annotations = metadata.get("ANNOTATIONS")
    stated = _text(metadata, POLICY_CHECK) or _text(
        annotations if isinstance(annotations, Mapping) else {}, POLICY_CHECK
    )
    if stated not in get_args(PolicyCheck):
        raise ValueError(f"annotation {POLICY_CHECK} must be enable, disable or allow-on-error, not {stated!r}")
    return cast("PolicyCheck", stated)


def _interception(metadata: Mapping[str, Any]) -> Literal["REDIRECT", "TPROXY", "NONE"]:
    mode = _text(metadata, "INTERCEPTION_MODE") or "REDIRECT"
    if mode not in ("REDIRECT", "TPROXY", "NONE"):
        raise ValueError(f"node metadata INTERCEPTION_MODE must be REDIRECT, TPROXY or NONE, not {mode!r}")
    return cast("Literal['REDIRECT', 'TPROXY', 'NONE']", mode)
