"""The built-in templates: partial Pods that are merged over the user's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from mizzen.injector.injection import names
from mizzen.injector.injection.annotations import parse_bool
from mizzen.injector.injection.capture import init_container
from mizzen.injector.injection.environment import environment
from mizzen.injector.injection.metadata import metadata
from mizzen.injector.injection.names import HEALTH_PORT, PROMETHEUS_PORT, PROXY, PROXY_ID, Object
from mizzen.injector.injection.subject import Subject
from mizzen.injector.injection.volumes import mounts, volumes

HEALTH_CHECK = f"python3 -I -S /opt/mizzen/healthcheck.py 127.0.0.1:{HEALTH_PORT} /healthz/ready"
WAIT_SECONDS = 60
"""How long an application is held; then the kubelet starts the Pod's containers anew. Istio's limit."""

DRAIN = """\
import http.client
connection = http.client.HTTPConnection("127.0.0.1", {port}, timeout=3)
connection.request("POST", "/drain_listeners?graceful&inboundonly&skip_exit")
connection.getresponse()
"""


def sidecar(subject: Subject) -> Object:
    """The template `sidecar`: capture and a proxy beside the application."""
    proxy = _proxy(subject, "sidecar")
    captures = [init_container(subject)] if subject.interception != "NONE" else []
    spec: Object = {"volumes": volumes(subject)}
    if subject.native:
        spec["initContainers"] = [*captures, proxy | {"restartPolicy": "Always"}]
    else:
        spec["initContainers"] = captures
        spec["containers"] = [proxy]
    if subject.values.global_.image_pull_secrets:
        spec["imagePullSecrets"] = [{"name": name} for name in subject.values.global_.image_pull_secrets]
    return {"metadata": metadata(subject, sidecar=True), "spec": spec}


def gateway(subject: Subject) -> Object:
    """The template `gateway`: a proxy in the router role; its author declares the container with the image `auto`."""
    spec: Object = {
        "securityContext": {"sysctls": [{"name": "net.ipv4.ip_unprivileged_port_start", "value": "0"}]},
        "containers": [_proxy(subject, "router")],
        "volumes": volumes(subject),
    }
    if subject.values.global_.image_pull_secrets:
        spec["imagePullSecrets"] = [{"name": name} for name in subject.values.global_.image_pull_secrets]
    return {"metadata": metadata(subject, sidecar=False), "spec": spec}


BUILT_IN: dict[str, Callable[[Subject], Object]] = {"sidecar": sidecar, "gateway": gateway}


def _proxy(subject: Subject, role: Literal["sidecar", "router"]) -> Object:
    values = subject.values.global_.proxy
    own_image = subject.annotations.get("sidecar.istio.io/proxyImage", "")
    container: Object = {
        "name": PROXY,
        "image": subject.image(own_image if "/" in own_image else values.image, subject.proxy.image.image_type),
        "ports": [{"containerPort": PROMETHEUS_PORT, "protocol": "TCP", "name": "http-envoy-prom"}],
        "env": environment(subject, role),
        "resources": subject.resources,
        "securityContext": _security(subject),
        "volumeMounts": mounts(subject),
    }
    if role == "sidecar" and (lifecycle := _lifecycle(subject)):
        container["lifecycle"] = lifecycle
    if subject.values.global_.image_pull_policy:
        container["imagePullPolicy"] = subject.values.global_.image_pull_policy
    if subject.status_port:
        container |= _probes(subject)
    return container


def _lifecycle(subject: Subject) -> Object:
    """What the mesh configures; else the wait of a held application, or the drain of a native sidecar."""
    if stated := subject.values.global_.proxy.lifecycle:
        return stated
    if subject.holds_application:
        wait = f"until {HEALTH_CHECK}; do sleep 0.1; done"
        return {"postStart": {"exec": {"command": ["timeout", str(WAIT_SECONDS), "sh", "-c", wait]}}}
    if subject.native:
        # SIGTERM comes when the application is gone; new connections should stop when the Pod's end begins.
        drain = DRAIN.format(port=subject.proxy.proxy_admin_port or names.ADMIN_PORT)
        return {"preStop": {"exec": {"command": ["python3", "-I", "-S", "-c", drain]}}}
    return {}


def _probes(subject: Subject) -> Object:
    values = subject.values.global_.proxy
    action = {"httpGet": {"path": "/healthz/ready", "port": HEALTH_PORT}}
    prefix = "readiness.status.sidecar.istio.io"

    def number(name: str, default: int) -> int:
        return int(subject.annotation(f"{prefix}/{name}", str(default)))

    probes: Object = {
        "readinessProbe": {
            **action,
            "initialDelaySeconds": number("initialDelaySeconds", values.readiness_initial_delay_seconds),
            "periodSeconds": number("periodSeconds", values.readiness_period_seconds),
            "timeoutSeconds": 3,
            "failureThreshold": number("failureThreshold", values.readiness_failure_threshold),
        }
    }
    if values.startup_probe.enabled:
        probes["startupProbe"] = {
            **action,
            "initialDelaySeconds": 0,
            "periodSeconds": 1,
            "timeoutSeconds": 3,
            "failureThreshold": values.startup_probe.failure_threshold,
        }
    return probes


def _security(subject: Subject) -> Object:
    values = subject.values.global_.proxy
    transparent = subject.interception == "TPROXY"
    said = subject.annotations.get(names.BIND_LOW_PORTS)
    low_ports = values.cap_net_bind_service if said is None else parse_bool(said)
    added = ["NET_ADMIN"] * transparent + ["NET_BIND_SERVICE"] * low_ports
    context: Object = {
        "allowPrivilegeEscalation": values.privileged,
        "privileged": values.privileged,
        "capabilities": ({"add": added} if added else {}) | {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
        "runAsGroup": PROXY_ID,
        "runAsNonRoot": not added,
        "runAsUser": 0 if added else PROXY_ID,
    }
    if values.seccomp_profile:
        context["seccompProfile"] = values.seccomp_profile
    return context
