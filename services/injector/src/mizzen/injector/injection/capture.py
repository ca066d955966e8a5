"""The init container `istio-init`: proxy-init with the flags of Istio's istio-iptables."""

from __future__ import annotations

from collections.abc import Iterator

from mizzen.injector.injection import names
from mizzen.injector.injection.environment import log_level
from mizzen.injector.injection.names import Object
from mizzen.injector.injection.subject import Subject

_TRAFFIC = "traffic.sidecar.istio.io"


def init_container(subject: Subject) -> Object:
    """It runs as root with the two capabilities that writing rules takes, and nothing else."""
    init = subject.values.global_.proxy_init
    privileged = subject.values.global_.proxy.privileged
    container: Object = {
        "name": names.INIT,
        "image": subject.image(init.image),
        "args": list(_arguments(subject)),
        "resources": subject.resources,
        "securityContext": {
            "allowPrivilegeEscalation": privileged,
            "privileged": privileged,
            "capabilities": {"add": ["NET_ADMIN", "NET_RAW"], "drop": ["ALL"]},
            "readOnlyRootFilesystem": False,
            "runAsGroup": 0,
            "runAsNonRoot": False,
            "runAsUser": 0,
        },
    }
    if subject.values.global_.proxy.seccomp_profile:
        container["securityContext"]["seccompProfile"] = subject.values.global_.proxy.seccomp_profile
    if subject.values.global_.image_pull_policy:
        container["imagePullPolicy"] = subject.values.global_.image_pull_policy
    if subject.proxy.proxy_metadata:
        container["env"] = [{"name": name, "value": value} for name, value in subject.proxy.proxy_metadata.items()]
    return container


def _arguments(subject: Subject) -> Iterator[str]:
    values = subject.values.global_.proxy
    yield from ("-p", str(subject.mesh.proxy_listen_port or names.OUTBOUND_PORT))
    yield from ("-z", str(subject.mesh.proxy_inbound_listen_port or names.INBOUND_PORT))
    yield from ("-u", str(names.PROXY_ID))
    yield from ("-m", subject.interception)
    yield from ("-i", subject.annotation(f"{_TRAFFIC}/includeOutboundIPRanges", values.include_ip_ranges))
    yield from ("-x", subject.annotation(f"{_TRAFFIC}/excludeOutboundIPRanges", values.exclude_ip_ranges))
    yield from ("-b", subject.annotation(f"{_TRAFFIC}/includeInboundPorts", values.include_inbound_ports))
    yield from ("-d", excluded_inbound(subject))
    if included := subject.annotation(f"{_TRAFFIC}/includeOutboundPorts", values.include_outbound_ports):
        yield from ("-q", included)
    if excluded := subject.annotation(f"{_TRAFFIC}/excludeOutboundPorts", values.exclude_outbound_ports):
        yield from ("-o", excluded)
    rerouted = subject.annotations.get("istio.io/reroute-virtual-interfaces") or subject.annotations.get(
        f"{_TRAFFIC}/kubevirtInterfaces"
    )
    if rerouted:
        yield from ("-k", rerouted)
    if interfaces := subject.annotations.get(f"{_TRAFFIC}/excludeInterfaces"):
        yield from ("-c", interfaces)
    yield f"--log_output_level={log_level(subject)}"
    if subject.values.global_.proxy_init.force_apply_iptables:
        yield "--force-apply"


def excluded_inbound(subject: Subject) -> str:
    """The proxy's own ports, then those the Pod excludes, then the status port unless it is among them."""
    stated = subject.annotation(
        f"{_TRAFFIC}/excludeInboundPorts", subject.values.global_.proxy.exclude_inbound_ports
    ).split(",")
    ports = [port for port in map(str.strip, stated) if port]
    status = str(subject.status_port)
    if status not in (*ports, "0"):
        ports.append(status)
    return ",".join((str(names.PROMETHEUS_PORT), str(names.HEALTH_PORT), *ports))
