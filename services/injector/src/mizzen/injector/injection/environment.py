"""The proxy's environment: Istio's variables, and the flags of our proxy (MIZZEN_PROXY_*)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from mizzen.injector.injection.metadata import metadata, workload_name
from mizzen.injector.injection.names import ADMIN_PORT, Object
from mizzen.injector.injection.subject import Subject, to_json

DATA_DIR = "/var/lib/istio/data"
_LEVELS = {"trace": "debug", "warn": "warning", "critical": "error", "fatal": "error", "none": "error", "off": "error"}
"""Levels of Istio and Envoy that our proxy has under another name."""


def environment(subject: Subject, role: Literal["sidecar", "router"]) -> list[Object]:
    """`env` of the proxy's container, in an order that does not change."""
    return [*_identity(subject), *_flags(subject, role), *_meta(subject, role), *_texts(subject.proxy.proxy_metadata)]


def log_level(subject: Subject) -> str:
    """One of our proxy's levels. The Pod's annotations win over the mesh's level."""
    stated = subject.annotations.get("sidecar.istio.io/logLevel") or subject.annotations.get(
        "sidecar.istio.io/agentLogLevel", subject.values.global_.logging.level
    )
    level = stated.split(",")[0].rpartition(":")[2]
    return _LEVELS.get(level, level)


def discovery_address(subject: Subject) -> str:
    """Pilot's `host:port`."""
    return subject.proxy.discovery_address or f"{_control_plane(subject)}:15012"


def _control_plane(subject: Subject) -> str:
    suffix = f"-{subject.values.revision}" if subject.values.revision else ""
    return f"istiod{suffix}.{subject.values.global_.istio_namespace}.svc"


def _identity(subject: Subject) -> Iterator[Object]:
    if subject.mesh.inbound_traffic_policy.mode == "LOCALHOST":
        yield _text("REWRITE_PROBE_LEGACY_LOCALHOST_DESTINATION", "true")
    yield _text("PILOT_CERT_PROVIDER", subject.values.global_.pilot_cert_provider)
    yield _text("CA_ADDR", subject.values.global_.ca_address or f"{_control_plane(subject)}:15012")
    for name, field in (
        ("POD_NAME", "metadata.name"),
        ("POD_NAMESPACE", "metadata.namespace"),
        ("INSTANCE_IP", "status.podIP"),
        ("SERVICE_ACCOUNT", "spec.serviceAccountName"),
        ("HOST_IP", "status.hostIP"),
    ):
        yield _field(name, field)
    yield {"name": "ISTIO_CPU_LIMIT", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu", "divisor": "1"}}}
    yield _text("PROXY_CONFIG", to_json(subject.proxy.stated()))


def _flags(subject: Subject, role: str) -> Iterator[Object]:
    flags = {
        "ROLE": role,
        "DISCOVERY_ADDRESS": discovery_address(subject),
        "DOMAIN": f"$(POD_NAMESPACE).svc.{subject.values.global_.proxy.cluster_domain}",
        "ADMIN_ADDRESS": f"127.0.0.1:{subject.proxy.proxy_admin_port or ADMIN_PORT}",
        "BIND_ADDRESS": "",
        "MONITORING_HOST": "0.0.0.0",
        "CONCURRENCY": str(subject.workers),
        "STATE_DIR": DATA_DIR,
        "LOG_LEVEL": log_level(subject),
        "LOG_FORMAT": "json" if subject.values.global_.log_as_json else "text",
    }
    if subject.proxy.termination_drain_duration is not None:
        flags["DRAIN_SECONDS"] = f"{subject.proxy.termination_drain_duration.total_seconds():g}"
    if subject.status_port != subject.proxy.status_port:
        flags["AGENT_PORT"] = str(subject.status_port)  # PROXY_CONFIG says otherwise, or nothing
    yield from _texts({f"MIZZEN_PROXY_{name}": value for name, value in flags.items()})


def _meta(subject: Subject, role: str) -> Iterator[Object]:
    ports = [port for container in subject.applications for port in container.get("ports") or ()]
    yield _text("ISTIO_META_POD_PORTS", to_json(ports))
    yield _text("ISTIO_META_APP_CONTAINERS", ",".join(container["name"] for container in subject.applications))
    yield _text("ISTIO_META_CLUSTER_ID", subject.cluster)
    yield _field("ISTIO_META_NODE_NAME", "spec.nodeName")
    yield _text("ISTIO_META_INTERCEPTION_MODE", subject.interception)
    labels = subject.labels | metadata(subject, sidecar=role == "sidecar")["labels"]
    yield _text("ISTIO_METAJSON_LABELS", to_json({"LABELS": labels}))
    stated = {
        "ISTIO_META_NETWORK": subject.network,
        "ISTIO_META_WORKLOAD_NAME": workload_name(subject),
        "ISTIO_META_OWNER": subject.owner.uid,
        "ISTIO_META_MESH_ID": subject.values.global_.mesh_id or subject.mesh.trust_domain,
        "TRUST_DOMAIN": subject.mesh.trust_domain,
    }
    yield from _texts({name: value for name, value in stated.items() if value})


def _texts(values: Mapping[str, str]) -> Iterator[Object]:
    for name, value in values.items():
        yield _text(name, value)


def _text(name: str, value: str) -> Object:
    return {"name": name, "value": value}


def _field(name: str, path: str) -> dict[str, Any]:
    return {"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}}
