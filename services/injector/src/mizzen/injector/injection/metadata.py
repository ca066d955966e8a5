"""Labels and annotations that an injected Pod gets."""

from __future__ import annotations

from mizzen.injector.injection.names import NETWORK, REVISION, Object
from mizzen.injector.injection.owner import WORKLOAD_LABEL
from mizzen.injector.injection.subject import Subject

CANONICAL_NAME = "service.istio.io/canonical-name"
CANONICAL_REVISION = "service.istio.io/canonical-revision"
TLS_MODE = "security.istio.io/tlsMode"
TUNNEL = "networking.istio.io/tunnel"
DEFAULT_CONTAINER = ("kubectl.kubernetes.io/default-container", "kubectl.kubernetes.io/default-logs-container")
MAX_LABEL = 63


def metadata(subject: Subject, *, sidecar: bool) -> Object:
    """The template's part of `metadata`; a gateway has no TLS mode of its own."""
    labels = {
        CANONICAL_NAME: _canonical_name(subject),
        CANONICAL_REVISION: _first(subject, CANONICAL_REVISION, "app.kubernetes.io/version", "version") or "latest",
    }
    if sidecar:
        labels[TLS_MODE] = subject.labels.get(TLS_MODE) or "istio"
        if subject.proxy.proxy_metadata.get("ISTIO_META_ENABLE_HBONE") == "true":
            labels[TUNNEL] = subject.labels.get(TUNNEL) or "http"
    if subject.network:
        labels[NETWORK] = subject.network
    annotations = {REVISION: subject.settings.revision}
    for application in subject.applications[:1]:
        annotations |= {name: application["name"] for name in DEFAULT_CONTAINER if name not in subject.annotations}
    return {"labels": labels, "annotations": annotations}


def workload_name(subject: Subject) -> str:
    """What the workload is called in the mesh."""
    return subject.labels.get(WORKLOAD_LABEL) or subject.owner.name


def _canonical_name(subject: Subject) -> str:
    name = _first(subject, CANONICAL_NAME, "app.kubernetes.io/name", "app") or subject.owner.name
    return name[:MAX_LABEL].strip("-_.")


def _first(subject: Subject, *labels: str) -> str:
    return next(filter(None, (subject.labels.get(label) for label in labels)), "")
