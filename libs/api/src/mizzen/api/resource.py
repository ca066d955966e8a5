"""A resource: what every kind has in common, around the spec of one kind."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Generic, NamedTuple

from pydantic import Field
from typing_extensions import TypeVar

from mizzen.api.problem import Source
from mizzen.api.types import Bool, KubernetesModel, Model


class OwnerReference(KubernetesModel):
    """The object that a Kubernetes object belongs to."""

    api_version: str
    kind: str
    name: str
    uid: str = ""
    controller: Bool = False


class Metadata(Model):
    """Kubernetes' object metadata as far as a mesh reads it."""

    name: str
    namespace: str = "default"
    labels: dict[str, str] = Field(default_factory=dict)
    annotations: dict[str, str] = Field(default_factory=dict)
    creation_timestamp: datetime | None = None
    deletion_timestamp: datetime | None = None
    generation: int | None = None
    resource_version: str = ""
    uid: str = ""
    owner_references: tuple[OwnerReference, ...] = ()


QUALIFIED = frozenset({("Gateway", "gateway.networking.k8s.io")})
"""Kinds whose name another group had first, with their own group."""


def kind_key(kind: str, group: str) -> str:
    """What a kind is known by: its name, and where that would mean another one the group too, as kubectl writes it."""
    return f"{kind}.{group}" if (kind, group) in QUALIFIED else kind


class ResourceKey(NamedTuple):
    """What identifies a resource in one mesh: there is one of each kind, namespace and name, whatever the version.

    `kind` is the kind's key: VirtualService, Gateway (Istio's), Gateway.gateway.networking.k8s.io.
    """

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        place = f"{self.namespace}/{self.name}" if self.namespace else self.name
        return f"{self.kind} {place}"


SpecT_co = TypeVar("SpecT_co", bound=Model, covariant=True, default=Model)


@dataclass(frozen=True, slots=True)
class Resource(Generic[SpecT_co]):
    """One object of the mesh's configuration or of the platform.

    `spec` is the kind's own model; kinds without a `spec` in YAML (Endpoints, EndpointSlice) keep all their fields in
    it. `status` is filled for the kinds whose status a mesh reads (Pod, ServiceEntry). Equality leaves `source` out.
    """

    api_version: str
    kind: str
    metadata: Metadata
    spec: SpecT_co
    status: Model | None = None
    source: Source | None = field(default=None, compare=False)

    @property
    def key(self) -> ResourceKey:
        """Kind, namespace and name."""
        return ResourceKey(kind_key(self.kind, self.group), self.metadata.namespace, self.metadata.name)

    @property
    def id(self) -> str:
        """For people: "VirtualService default/reviews"."""
        return str(self.key)

    @property
    def group(self) -> str:
        """The API group, "" for Kubernetes' core: networking.istio.io, apps, discovery.k8s.io."""
        return self.api_version.rpartition("/")[0]

    def __hash__(self) -> int:
        return hash(self.key)
