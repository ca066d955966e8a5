"""Which collections of the API server a mesh follows, and what of their objects it keeps."""

from __future__ import annotations

from collections.abc import Collection as AnyCollection
from dataclasses import dataclass

from mizzen.api.crd.definition import plural
from mizzen.api.gatewayapi import GROUP as GATEWAY_API
from mizzen.api.kinds import AUTHENTICATION, KINDS, RBAC, Kind
from mizzen.api.resource import ResourceKey

CONFIG_GROUPS = ("networking.istio.io", "security.istio.io", AUTHENTICATION, RBAC, "config.istio.io", GATEWAY_API)
_NO_CREDENTIALS = (
    "kubernetes.io/service-account-token",
    "kubernetes.io/dockercfg",
    "kubernetes.io/dockerconfigjson",
    "bootstrap.kubernetes.io/token",
    "helm.sh/release.v1",
)
CREDENTIALS = ",".join(f"type!={name}" for name in _NO_CREDENTIALS)
"""Secrets that may be certificates and keys."""
RUNNING_PODS = "status.phase!=Succeeded,status.phase!=Failed"
JSON = "application/json"
_METADATA = "application/json;as={};g=meta.k8s.io;v=v1"


@dataclass(frozen=True, slots=True)
class Collection:
    """All objects of one kind."""

    kind: Kind
    namespace: str = ""
    """The one whose objects are followed; empty: all."""
    field_selector: str = ""
    metadata_only: bool = False
    """Nothing but labels is of interest: the server need not send the rest."""
    annotations: bool = True
    """Whether annotations are read; those of Pods and slices are many and change often."""
    containers: bool = False
    """Whether names and ports of a Pod's containers are of interest."""
    labels: AnyCollection[str] | None = None
    """The only labels that are read; None means all."""
    values: AnyCollection[str] = ()
    """The only values of a Secret that are read."""
    optional: bool = False
    """Whether a cluster may do without its definition. It is then followed as soon as there is one."""

    @property
    def api_version(self) -> str:
        """The version that is asked for, whichever one an object was written in."""
        return self.kind.api_versions[0]

    @property
    def name(self) -> str:
        """As in RBAC rules: virtualservices.networking.istio.io, pods."""
        many = plural(self.kind.name)
        return f"{many}.{self.kind.group}" if self.kind.group else many

    @property
    def group_path(self) -> str:
        """Where the API server describes the group's version."""
        return f"/apis/{self.api_version}" if self.kind.group else f"/api/{self.api_version}"

    @property
    def title(self) -> str:
        """What it is called where people read it."""
        return f"{self.name} of namespace {self.namespace}" if self.namespace else self.name

    @property
    def path(self) -> str:
        """Where the API server lists it."""
        return f"{self.group_path}{_within(self.namespace)}/{plural(self.kind.name)}"

    def object_path(self, key: ResourceKey) -> str:
        """Where the API server has one object."""
        place = key.namespace if self.kind.namespaced else ""
        return f"{self.group_path}{_within(place)}/{plural(self.kind.name)}/{key.name}"

    def accept(self, listing: bool) -> str:
        """The Accept header of a list or of a watch."""
        if not self.metadata_only:
            return JSON
        return _METADATA.format("PartialObjectMetadataList" if listing else "PartialObjectMetadata")


def _within(namespace: str) -> str:
    return f"/namespaces/{namespace}" if namespace else ""


TOPOLOGY = frozenset(
    {
        "topology.kubernetes.io/region",
        "topology.kubernetes.io/zone",
        "failure-domain.beta.kubernetes.io/region",
        "failure-domain.beta.kubernetes.io/zone",
        "topology.istio.io/subzone",
    }
)
"""Labels of Nodes that place an endpoint."""

STATUS_GROUPS = ("networking.istio.io", "security.istio.io", GATEWAY_API)
CONFIG = tuple(
    Collection(kind, optional=not kind.is_own)
    for group in CONFIG_GROUPS
    for kind in KINDS.values()
    if kind.group == group
)
WITH_STATUS = tuple(
    collection
    for collection in CONFIG
    if collection.kind.group in STATUS_GROUPS and collection.kind.name != "ReferenceGrant"
)
"""Those whose status Pilot writes. What becomes of Mixer's resources is for Mixer to say; a ReferenceGrant has none."""
REGISTRY = (
    Collection(KINDS["Namespace"], metadata_only=True, annotations=False),
    Collection(KINDS["Node"], metadata_only=True, annotations=False, labels=TOPOLOGY),
    Collection(KINDS["Service"]),
    Collection(KINDS["EndpointSlice"], annotations=False),
    Collection(KINDS["Pod"], field_selector=RUNNING_PODS, annotations=False),
)
