"""Which policies are for a workload."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, TypeVar

from mizzen.api.resource import Resource
from mizzen.api.security import AuthorizationPolicy, PolicyTargetReference, RequestAuthentication
from mizzen.pilot.base.labels import Labels, labels

GATEWAY: Final = ("gateway.networking.k8s.io", "Gateway")
GATEWAY_LABEL: Final = "gateway.networking.k8s.io/gateway-name"
"""Of the proxies of a Gateway of the Gateway API."""
PolicyT = TypeVar("PolicyT", AuthorizationPolicy, RequestAuthentication)


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


def _references(policy: Resource[PolicyT]) -> tuple[PolicyTargetReference, ...]:
    spec = policy.spec
    return spec.target_refs or ((spec.target_ref,) if spec.target_ref else ())


def _selects(policy: Resource[PolicyT], own: Labels) -> bool:
    selector = policy.spec.selector
    return selector is None or labels(selector.match_labels) <= own


def _targets(policy: Resource[PolicyT], namespace: str, own: Labels) -> bool:
    return policy.metadata.namespace == namespace and any(
        (each.group, each.kind) == GATEWAY and (GATEWAY_LABEL, each.name) in own for each in _references(policy)
    )
