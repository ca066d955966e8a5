"""The workload that a Pod belongs to, as far as the Pod itself tells."""

from __future__ import annotations

import re
from dataclasses import dataclass

from mizzen.injector.injection.names import Object
from mizzen.injector.injection.pods import labels_of

_CRON_JOB = re.compile(r"(.+)-\d{8,10}")
WORKLOAD_LABEL = "service.istio.io/workload-name"


@dataclass(frozen=True, slots=True)
class Owner:
    """A Deployment, Job, ... or the Pod itself. The name may be "" when the API server has yet to make one."""

    api_version: str
    kind: str
    name: str
    namespace: str

    @property
    def uid(self) -> str:
        """Istio's form, the value of ISTIO_META_OWNER; "" without a name."""
        if not self.name:
            return ""
        namespace = self.namespace or "default"
        return f"kubernetes://apis/{self.api_version}/namespaces/{namespace}/{self.kind.lower()}s/{self.name}"


def owner_of(pod: Object, namespace: str) -> Owner:
    """Read it from the controller reference; a ReplicaSet's Deployment and a Job's CronJob are told by their names."""
    metadata = pod.get("metadata") or {}
    itself = Owner("v1", "Pod", metadata.get("name") or "", namespace)
    references = metadata.get("ownerReferences") or ()
    controller = next((reference for reference in references if reference.get("controller")), None)
    if not metadata.get("generateName") or controller is None:
        return itself
    name, kind, version = controller["name"], controller["kind"], controller["apiVersion"]
    labels = labels_of(pod)
    if kind == "ReplicaSet":
        for label, parent, parent_version in (
            ("pod-template-hash", "Deployment", version),
            ("rollouts-pod-template-hash", "Rollout", "v1alpha1"),
        ):
            value = labels.get(label, "")
            if value and name.endswith(f"-{value}"):
                return Owner(parent_version, parent, name.removesuffix(f"-{value}"), namespace)
    if kind == "ReplicationController" and labels.get("deploymentconfig"):
        return Owner(version, "DeploymentConfig", labels["deploymentconfig"], namespace)
    if kind == "Job" and (scheduled := _CRON_JOB.fullmatch(name)):
        return Owner("batch/v1", "CronJob", scheduled[1], namespace)
    return Owner(version, kind, name, namespace)
