"""The proxy's volumes and where they are mounted. Names and paths are Istio's: people replace them by name."""

from __future__ import annotations

from typing import Any

from mizzen.injector.injection import names
from mizzen.injector.injection.annotations import parse_mapping
from mizzen.injector.injection.environment import DATA_DIR
from mizzen.injector.injection.names import Object
from mizzen.injector.injection.subject import Subject

TOKEN_AUDIENCE = "istio-ca"  # noqa: S105 - for whom a token is, not a token
TOKEN_SECONDS = 43200

MOUNTS = {
    "workload-socket": "/var/run/secrets/workload-spiffe-uds",
    "credential-socket": "/var/run/secrets/credential-uds",
    "workload-certs": "/var/run/secrets/workload-spiffe-credentials",
    "istiod-ca-cert": "/var/run/secrets/istio",
    "istio-ca-crl": "/var/run/secrets/istio/crl",
    "istio-data": DATA_DIR,
    "istio-envoy": "/etc/istio/proxy",
    "istio-token": "/var/run/secrets/tokens",
    "istio-podinfo": "/etc/istio/pod",
}


def mounts(subject: Subject) -> list[Object]:
    """`volumeMounts` of the proxy, with the Pod's own of `sidecar.istio.io/userVolumeMount`."""
    return [
        *({"name": name, "mountPath": path} for name, path in MOUNTS.items()),
        *_stated(subject, names.USER_VOLUME_MOUNT),
    ]


def volumes(subject: Subject) -> list[Object]:
    """The volumes that `mounts` names, with the Pod's own of `sidecar.istio.io/userVolume`."""
    token = {"path": "istio-token", "expirationSeconds": TOKEN_SECONDS, "audience": TOKEN_AUDIENCE}
    pod_info = [{"path": path, "fieldRef": {"fieldPath": f"metadata.{path}"}} for path in ("labels", "annotations")]
    sources: dict[str, dict[str, Any]] = {
        "workload-socket": {"emptyDir": {}},
        "credential-socket": {"emptyDir": {}},
        "workload-certs": {"emptyDir": {}},
        "istio-envoy": {"emptyDir": {"medium": "Memory"}},
        "istio-data": {"emptyDir": {}},
        "istio-podinfo": {"downwardAPI": {"items": pod_info}},
        "istio-token": {"projected": {"sources": [{"serviceAccountToken": token}]}},
        # Pilot makes it in every namespace; until then a Pod waits, for without it there is no certificate.
        "istiod-ca-cert": {"configMap": {"name": subject.values.global_.trust_bundle_name}},
        "istio-ca-crl": {"configMap": {"name": "istio-ca-crl", "optional": True}},
    }
    return [*({"name": name, **source} for name, source in sources.items()), *_stated(subject, names.USER_VOLUME)]


def _stated(subject: Subject, annotation: str) -> list[Object]:
    stated = parse_mapping(subject.annotations.get(annotation, "{}"))
    return [{"name": name, **value} for name, value in stated.items()]
