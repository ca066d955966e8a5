"""Which policies are for a workload, and which are for none."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, TypeAlias, TypeVar

from mizzen.api.problem import Problem
from mizzen.api.resource import Resource
from mizzen.api.security import AuthorizationPolicy, PeerAuthentication, PolicyTargetReference, RequestAuthentication
from mizzen.pilot.base.labels import Labels, labels
from mizzen.pilot.snapshot.service import Endpoint

GATEWAY: Final = ("gateway.networking.k8s.io", "Gateway")
GATEWAY_LABEL: Final = "gateway.networking.k8s.io/gateway-name"
"""Of the proxies of a Gateway of the Gateway API."""
PolicyT = TypeVar("PolicyT", AuthorizationPolicy, RequestAuthentication)
Policy: TypeAlias = Resource[AuthorizationPolicy] | Resource[RequestAuthentication]


def policies_for(
    policies: Iterable[Resource[PolicyT]], namespace: str, own: Labels, root: str
) -> Sequence[Resource[PolicyT]]:
    """Those for a workload: of its namespace and of the root namespace, with a selector that fits or none.

    One that targets a Gateway is for the proxies of that Gateway alone; other targets are of ambient meshes.
    """
    return [
        policy
        for policy in policies
        if policy.metadata.namespace in (namespace, root)
        and (_targets(policy, namespace, own) if _references(policy) else _selects(policy, own))
    ]


def without_target(policies: Iterable[Policy], endpoints: Iterable[Endpoint]) -> Iterator[Problem]:
    """Targets that are no workload of `endpoints`, which are the mesh's: what such a policy forbids nobody forbids."""
    targeting = [policy for policy in policies if _references(policy)]
    gateways = _gateways(endpoints) if targeting else frozenset()
    for policy in targeting:
        for index, each in enumerate(_references(policy)):
            if (each.group, each.kind) != GATEWAY:
                message = f"targets of kind {each.kind} are for waypoints, and this mesh has none"
            elif (policy.metadata.namespace, each.name) not in gateways:
                message = f"no workload of {policy.metadata.namespace} has the label {GATEWAY_LABEL}: {each.name}"
            else:
                continue
            place = f"spec.targetRefs[{index}]" if policy.spec.target_refs else "spec.targetRef"
            yield Problem(policy.source, policy.id, place, f"{message}; the policy has no effect there", "warning")


def beyond_namespace(policies: Iterable[Resource[PeerAuthentication]], root: str) -> Iterator[Problem]:
    """PeerAuthentications that are passed over, as in Istio."""
    for policy in policies:
        selector = policy.spec.selector
        if policy.metadata.namespace == root and selector is not None and selector.match_labels:
            message = "cannot stand in the root namespace, so that this policy has no effect; without it, all follow it"
            yield Problem(policy.source, policy.id, "spec.selector", message, "warning")


def _references(policy: Policy) -> tuple[PolicyTargetReference, ...]:
    spec = policy.spec
    return spec.target_refs or ((spec.target_ref,) if spec.target_ref else ())


def _selects(policy: Resource[PolicyT], own: Labels) -> bool:
    selector = policy.spec.selector
    return selector is None or labels(selector.match_labels) <= own


def _targets(policy: Resource[PolicyT], namespace: str, own: Labels) -> bool:
    return policy.metadata.namespace == namespace and any(
        (each.group, each.kind) == GATEWAY and (GATEWAY_LABEL, each.name) in own for each in _references(policy)
    )


def _gateways(endpoints: Iterable[Endpoint]) -> frozenset[tuple[str, str]]:
    """Namespaces and names of the Gateways that workloads say they are of."""
    return frozenset(
        (endpoint.namespace, value)
        for endpoint in endpoints
        for name, value in endpoint.labels
        if name == GATEWAY_LABEL
    )
