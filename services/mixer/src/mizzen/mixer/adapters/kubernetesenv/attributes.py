"""What a pod says about a request's source or destination. Source: mixer/adapter/kubernetesenv at Istio 1.0.9."""

from __future__ import annotations

from ipaddress import ip_address

from mizzen.api.kubernetes import PodStatus
from mizzen.api.resource import Metadata, OwnerReference
from mizzen.attributes.values import Value
from mizzen.mixer.adapters.kubernetesenv.pods import PodResource

_HASH_LABEL = "pod-template-hash"


def describe(pod: PodResource, side: str) -> dict[str, Value]:
    """Output fields of the template kubernetes; `side` is source or destination. What is empty is left out."""
    meta = pod.metadata
    status = pod.status if isinstance(pod.status, PodStatus) else PodStatus()
    owner = controller_of(meta)
    workload = owner.name if owner else meta.name
    known: dict[str, Value] = {
        "pod_uid": f"kubernetes://{meta.name}.{meta.namespace}",
        "pod_name": meta.name,
        "namespace": meta.namespace,
        "labels": dict(meta.labels),
        "service_account_name": pod.spec.service_account_name,
        "workload_uid": f"istio://{meta.namespace}/workloads/{workload}",
        "workload_name": workload,
        "workload_namespace": meta.namespace,
        "owner": _link(owner, meta.namespace) if owner else "",
    }
    if status.pod_ip:
        known["pod_ip"] = ip_address(status.pod_ip)
    if status.host_ip:
        known["host_ip"] = ip_address(status.host_ip)
    return {f"{side}_{name}": value for name, value in known.items() if value}


def container_of(pod: PodResource, port: int) -> str:
    """The container that declares a port; empty when none does."""
    for container in pod.spec.containers:
        if any(declared.container_port == port for declared in container.ports):
            return container.name
    return ""


def controller_of(meta: Metadata) -> OwnerReference | None:
    """The object at the top of a pod's owners.

    Of a ReplicaSet only the reference is known here; a Deployment's is named after it, with a hash that the pod's
    label repeats.
    """
    owner = next((reference for reference in meta.owner_references if reference.controller), None)
    digest = meta.labels.get(_HASH_LABEL)
    if owner is None or owner.kind != "ReplicaSet" or not digest or not owner.name.endswith(f"-{digest}"):
        return owner
    return OwnerReference(api_version="apps/v1", kind="Deployment", name=owner.name.removesuffix(f"-{digest}"))


def _link(owner: OwnerReference, namespace: str) -> str:
    return f"kubernetes://apis/{owner.api_version}/namespaces/{namespace}/{owner.kind.lower()}s/{owner.name}"
