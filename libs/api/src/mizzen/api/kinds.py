"""The kinds that Mizzen knows: their groups, versions, models and rules."""

from collections.abc import Mapping
from dataclasses import dataclass

from mizzen.api import kubernetes
from mizzen.api.destinationrule import DestinationRule
from mizzen.api.gateway import Gateway
from mizzen.api.gatewayapi import GROUP as GATEWAY_API
from mizzen.api.gatewayapi import gateway as gatewayapi
from mizzen.api.gatewayapi.grpcroute import GRPCRoute
from mizzen.api.gatewayapi.httproute import HTTPRoute
from mizzen.api.gatewayapi.reference import ReferenceGrant
from mizzen.api.legacy import AuthenticationPolicy, RbacConfig
from mizzen.api.mixer import kinds as mixer_kinds
from mizzen.api.mixer.rbac import ServiceRole, ServiceRoleBinding
from mizzen.api.resource import kind_key
from mizzen.api.rules import (
    Rules,
    authorizationpolicy,
    destinationrule,
    gateway,
    mixer,
    peerauthentication,
    requestauthentication,
    secret,
    serviceentry,
    sidecar,
    virtualservice,
    workloadentry,
)
from mizzen.api.rules import gatewayapi as gatewayapi_rules
from mizzen.api.rules import legacy as legacy_rules
from mizzen.api.security import AuthorizationPolicy, PeerAuthentication, RequestAuthentication
from mizzen.api.serviceentry import ServiceEntry, ServiceEntryStatus
from mizzen.api.sidecar import Sidecar
from mizzen.api.types import KubernetesModel, Model
from mizzen.api.virtualservice import VirtualService
from mizzen.api.workloadentry import WorkloadEntry

ISTIO_VERSIONS = ("v1", "v1beta1", "v1alpha3")
SECURITY_VERSIONS = ("v1", "v1beta1")
AUTHENTICATION = "authentication.istio.io"
RBAC = "rbac.istio.io"
ALPHA = ("v1alpha1",)


@dataclass(frozen=True, slots=True)
class Kind:
    """How resources of one kind are read and written."""

    model: type[Model]
    group: str
    versions: tuple[str, ...]
    rules: Rules | None = None
    """What must hold between fields; None when the model says it all."""
    status: type[Model] | None = None
    """The model of `status` where a mesh reads it; otherwise status is accepted and left out."""
    flat: bool = False
    """Whether the fields stand at the top level instead of under `spec`."""
    namespaced: bool = True
    label_name: bool = False
    """Whether the resource's name must be one DNS label (no dots)."""
    written: str = ""
    """The kind's name where it is not the model's."""
    empty: bool = False
    """Whether `spec` may be left out."""

    @property
    def name(self) -> str:
        """The kind as it is written."""
        return self.written or self.model.__name__

    @property
    def key(self) -> str:
        """What it is known by among all kinds: the name, with the group where that is needed."""
        return kind_key(self.name, self.group)

    @property
    def is_own(self) -> bool:
        """Whether its definition is for us to install; that of the Gateway API is the cluster's."""
        return not self.is_kubernetes and self.group != GATEWAY_API

    @property
    def is_kubernetes(self) -> bool:
        """Whether Kubernetes defines the kind, and not Istio."""
        return issubclass(self.model, KubernetesModel)

    @property
    def api_versions(self) -> tuple[str, ...]:
        """All values of apiVersion that this kind is served under, newest first."""
        return tuple(f"{self.group}/{version}" if self.group else version for version in self.versions)


def _networking(model: type[Model], rules: Rules, status: type[Model] | None = None, label_name: bool = False) -> Kind:
    return Kind(model, "networking.istio.io", ISTIO_VERSIONS, rules, status, label_name=label_name)


def _security(model: type[Model], rules: Rules) -> Kind:
    # An empty AuthorizationPolicy allows nothing, an empty PeerAuthentication says what its parent says.
    return Kind(model, "security.istio.io", SECURITY_VERSIONS, rules, empty=True)


def _gateway_api(model: type[Model], rules: Rules, version: str = "v1", namespaced: bool = True) -> Kind:
    return Kind(model, GATEWAY_API, (version,), rules, namespaced=namespaced)


def _mixer(name: str, model: type[Model]) -> Kind:
    # Instances and handlers of the kinds that are named like a template or an adapter may have no fields at all.
    is_empty = name not in mixer_kinds.CORE
    rules = mixer.CHECKS.get(name)
    return Kind(model, mixer_kinds.GROUP, mixer_kinds.VERSIONS, rules, written=name, empty=is_empty)


KINDS: Mapping[str, Kind] = {
    kind.key: kind
    for kind in (
        _networking(VirtualService, virtualservice.check),
        _networking(DestinationRule, destinationrule.check),
        _networking(Gateway, gateway.check, label_name=True),
        _networking(ServiceEntry, serviceentry.check, ServiceEntryStatus),
        _networking(WorkloadEntry, workloadentry.check),
        _networking(Sidecar, sidecar.check),
        _security(PeerAuthentication, peerauthentication.check),
        _security(RequestAuthentication, requestauthentication.check),
        _security(AuthorizationPolicy, authorizationpolicy.check),
        _gateway_api(gatewayapi.GatewayClass, gatewayapi_rules.check_class, namespaced=False),
        _gateway_api(gatewayapi.Gateway, gatewayapi_rules.check_gateway),
        _gateway_api(HTTPRoute, gatewayapi_rules.check_http_route),
        _gateway_api(GRPCRoute, gatewayapi_rules.check_grpc_route),
        _gateway_api(ReferenceGrant, gatewayapi_rules.check_grant, "v1beta1"),
        *(_mixer(name, model) for name, model in mixer_kinds.MODELS.items()),
        Kind(ServiceRole, RBAC, ALPHA, legacy_rules.check_role),
        Kind(ServiceRoleBinding, RBAC, ALPHA, legacy_rules.check_binding),
        Kind(RbacConfig, RBAC, ALPHA, legacy_rules.check_rbac_config, empty=True),
        Kind(
            RbacConfig,
            RBAC,
            ALPHA,
            legacy_rules.check_rbac_config,
            namespaced=False,
            written="ClusterRbacConfig",
            empty=True,
        ),
        Kind(
            AuthenticationPolicy,
            AUTHENTICATION,
            ALPHA,
            legacy_rules.check_policy,
            written="Policy",
            empty=True,
        ),
        Kind(
            AuthenticationPolicy,
            AUTHENTICATION,
            ALPHA,
            legacy_rules.check_mesh_policy,
            namespaced=False,
            written="MeshPolicy",
            empty=True,
        ),
        Kind(kubernetes.Service, "", ("v1",), status=kubernetes.ServiceStatus, label_name=True),
        Kind(kubernetes.Endpoints, "", ("v1",), flat=True),
        Kind(kubernetes.EndpointSlice, "discovery.k8s.io", ("v1",), flat=True),
        Kind(kubernetes.Pod, "", ("v1",), status=kubernetes.PodStatus),
        Kind(kubernetes.Deployment, "apps", ("v1",)),
        Kind(kubernetes.Namespace, "", ("v1",), namespaced=False, label_name=True),
        Kind(kubernetes.Node, "", ("v1",), namespaced=False),
        Kind(kubernetes.Secret, "", ("v1",), secret.check, flat=True),
    )
}
"""By key."""

IGNORED = frozenset(
    {
        "ConfigMap", "ServiceAccount", "PersistentVolume", "PersistentVolumeClaim", "ReplicaSet",
        "StatefulSet", "DaemonSet", "Job", "CronJob", "HorizontalPodAutoscaler", "PodDisruptionBudget", "NetworkPolicy",
        "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition", "LimitRange",
        "ResourceQuota",
    }
)  # fmt: skip
"""Kubernetes kinds that stand in the same files but say nothing to a mesh."""
