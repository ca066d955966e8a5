"""What should run: the pods that Deployments ask for."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from mizzen.api.kubernetes import Container, Deployment, PodTemplate
from mizzen.api.resource import Resource

REVISION_LENGTH = 10


@dataclass(frozen=True, slots=True)
class PodTemplateSpec:
    """What the pods of one Deployment are made from; equal revisions mean equal pods."""

    namespace: str
    deployment: str
    replicas: int
    revision: str
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    containers: tuple[Container, ...] = ()
    service_account: str = "default"

    @property
    def complaint(self) -> str:
        """Why no pod of it can run here; empty when they can."""
        if not self.containers:
            return "the pod template has no containers"
        for container in self.containers:
            if not container.command and not container.args:
                return f"container {container.name} has no command: the local runtime runs processes, not images"
        return ""


def pod_templates(resources: Iterable[Resource]) -> dict[tuple[str, str], PodTemplateSpec]:
    """The templates of all Deployments, by namespace and name."""
    templates: dict[tuple[str, str], PodTemplateSpec] = {}
    for resource in resources:
        if isinstance(resource.spec, Deployment):
            key = (resource.metadata.namespace, resource.metadata.name)
            templates[key] = _template(key, resource.spec)
    return templates


def _template(key: tuple[str, str], deployment: Deployment) -> PodTemplateSpec:
    template = deployment.template
    return PodTemplateSpec(
        namespace=key[0],
        deployment=key[1],
        replicas=deployment.replicas,
        revision=_revision(template),
        labels=dict(template.metadata.labels),
        annotations=dict(template.metadata.annotations),
        containers=template.spec.containers,
        service_account=template.spec.service_account_name or "default",
    )


def _revision(template: PodTemplate) -> str:
    text = json.dumps(template.model_dump(mode="json"), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:REVISION_LENGTH]
