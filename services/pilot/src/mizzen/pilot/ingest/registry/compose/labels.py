"""What a container's labels say of its workload."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from mizzen.api import kubernetes as k8s
from mizzen.api.resource import Metadata, Resource
from mizzen.api.wording import suggestion

PREFIX = "mizzen."
WORKLOAD = "mizzen.workload"
"""Name of the workload that the container is the application of; one without it is none."""
NAMESPACE = "mizzen.namespace"
LABELS = "mizzen.labels"
"""`app=reviews,version=v1`, the labels of its pod."""
SERVICES = "mizzen.services"
"""`reviews http:9080; admin http:80:8080`: services that all pods with the same label `app` serve, each with its ports
as name:port or name:port:port of the container."""
SERVICE_ACCOUNT = "mizzen.service-account"
ROLE = "mizzen.role"
"""`proxy` for a sidecar or a gateway: where an application has a sidecar, its pod can speak mutual TLS. By this, and by
`mixer` for Mixer, `mizzen up` knows who gets a token."""
PROXY = "proxy"
TLS_MODE = "security.istio.io/tlsMode"

_KNOWN = (LABELS, NAMESPACE, ROLE, SERVICE_ACCOUNT, SERVICES, WORKLOAD)

_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_MAX_PORT = 65535


@dataclass(frozen=True, slots=True)
class Workload:
    """What the pods of a workload have in common."""

    name: str
    namespace: str = "default"
    labels: Mapping[str, str] = field(default_factory=dict)
    services: tuple[Resource[k8s.Service], ...] = ()
    service_account: str = "default"


def read_workload(labels: Mapping[str, str]) -> Workload | None:
    """The workload of a container; None when it is none. Raises ValueError that names the label and what it takes."""
    for label in sorted(labels):
        if label.startswith(PREFIX) and label not in _KNOWN:
            raise ValueError(f"label {label} is unknown{suggestion(label, _KNOWN)}")
    if WORKLOAD not in labels:
        return None
    namespace = _name(NAMESPACE, labels.get(NAMESPACE) or "default")
    pod_labels = _pairs(labels.get(LABELS, ""))
    return Workload(
        name=_name(WORKLOAD, labels[WORKLOAD]),
        namespace=namespace,
        labels=pod_labels,
        services=_services(labels.get(SERVICES, ""), namespace, pod_labels.get("app", "")),
        service_account=_name(SERVICE_ACCOUNT, labels.get(SERVICE_ACCOUNT) or "default"),
    )


def _name(label: str, text: str) -> str:
    if not _NAME.fullmatch(text):
        raise ValueError(f"label {label} takes a name of lower-case letters, digits and '-', not {text!r}")
    return text


def _pairs(text: str) -> dict[str, str]:
    found = {}
    for part in _parts(text, ","):
        name, equals, value = part.partition("=")
        if not equals or not name.strip():
            raise ValueError(f"label {LABELS} takes pairs as app=reviews,version=v1, not {text!r}")
        found[name.strip()] = value.strip()
    return found


def _services(text: str, namespace: str, app: str) -> tuple[Resource[k8s.Service], ...]:
    declared = [part.split() for part in _parts(text, ";")]
    if declared and not app:
        raise ValueError(f"label {SERVICES} needs app=<name> in {LABELS}: a service finds its pods by it")
    found = []
    for name, *ports in declared:
        if not ports:
            raise ValueError(f"label {SERVICES} names no port of {name}; with one it is `{name} http:9080`")
        metadata = Metadata(name=_name(SERVICES, name), namespace=namespace, labels={"app": app})
        spec = k8s.Service(selector={"app": app}, ports=tuple(map(_port, ports)))
        found.append(Resource("v1", "Service", metadata, spec))
    return tuple(found)


def _port(text: str) -> k8s.ServicePort:
    name, *numbers = text.split(":")
    if not _NAME.fullmatch(name) or len(numbers) not in (1, 2) or not all(map(_is_port, numbers)):
        raise ValueError(f"label {SERVICES} takes ports as http:9080 or http:80:8080 (name:port:port), not {text!r}")
    return k8s.ServicePort(name=name, port=int(numbers[0]), target_port=int(numbers[-1]))


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdecimal() and 0 < int(text) <= _MAX_PORT


def _parts(text: str, separator: str) -> list[str]:
    return [part.strip() for part in text.split(separator) if part.strip()]
